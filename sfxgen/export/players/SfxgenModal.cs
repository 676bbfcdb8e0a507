// Rings a struck object from its bank of modes (<sound>.modal.json), at any speed and place, without samples.
// Written by sfxgen; a copy that you change is left alone from then on. SfxgenModalPlayer plays it in Unity: this
// file knows no engine.

using System;

namespace Sfxgen
{
    /// The bank as JsonUtility reads it. See sfxgen's README for what the keys mean.
    [Serializable]
    public class ModalBank
    {
        public const string Format = "sfxgen-modal";
        public const int Version = 1;

        public string format;
        public int version;
        public string name;
        public int modes;
        public int regions;
        public double[] speed_m_s;
        public double[] hit;
        public double impulse_kg;
        public double contact_s;
        public double contact_exponent;
        public int spots;
        public double heard_s;
        public double[] frequency_hz;
        public double[] decay_per_s;
        public double[] mean_gain;
        public double[] gain;
        public double[] click_tau_s;
        public double[] click_gain;
        public double longest_click_s;
        public double level_db;
    }

    /// One object. Render gives its samples, mono, at the rate that it was made for. Strike may be called from
    /// another thread than Render; Render allocates nothing.
    public class ModalObject
    {
        const int Block = 64; // frames between looks at what has died away
        const double Floor = 1e-6; // -120 dB of full scale: a mode below it is at rest, long before denormal numbers
        const int MostWaiting = 64; // blows that have not begun; further ones are dropped
        const double Tiny = 1e-30;
        static readonly double LogPeak = 2 * LogGamma(1.75);

        struct Blow
        {
            public long At;
            public int Frames;
            public double Impulse;
            public double[] Amplitude; // null: its modes ring
        }

        readonly ModalBank bank;
        readonly double rateHz;
        readonly int[] kept;
        readonly double[] stepRe, stepIm, heard, re, im; // a mode's sound is the imaginary part of its state
        readonly int[] ringing; // the first nRinging entries: modes not at rest
        readonly double makeUp;
        readonly double[] knockStepRe = new double[2], knockStepIm = new double[2];
        readonly double[] knockRe = new double[2], knockIm = new double[2];
        readonly Blow[] blows = new Blow[MostWaiting]; // the first nBlows entries
        readonly object door = new object();
        int nRinging, nBlows;
        long now; // frames rendered so far

        /// maxModes: ring only so many, the loudest. Throws ArgumentException for a bank that it cannot read.
        public ModalObject(ModalBank bank, double rateHz, int maxModes = 64)
        {
            if (bank == null || bank.format != ModalBank.Format || bank.version != ModalBank.Version)
                throw new ArgumentException("not a bank of " + ModalBank.Format + " version " + ModalBank.Version
                    + ": build it again, or update this file");
            this.bank = bank;
            this.rateHz = rateHz;
            int[] audible = Array.FindAll(Count(bank.modes), m => bank.frequency_hz[m] < 0.45 * rateHz);
            kept = new int[Math.Min(Math.Max(0, maxModes), audible.Length)];
            Array.Copy(audible, kept, kept.Length);
            stepRe = new double[kept.Length];
            stepIm = new double[kept.Length];
            re = new double[kept.Length];
            im = new double[kept.Length];
            ringing = new int[kept.Length];
            heard = new double[bank.modes];
            for (int m = 0; m < bank.modes; m++)
                heard[m] = (1 - Math.Exp(-2 * bank.decay_per_s[m] * bank.heard_s)) / (4 * bank.decay_per_s[m]);
            for (int k = 0; k < kept.Length; k++)
            {
                double size = Math.Exp(-bank.decay_per_s[kept[k]] / rateHz);
                double angle = 2 * Math.PI * bank.frequency_hz[kept[k]] / rateHz;
                stepRe[k] = size * Math.Cos(angle);
                stepIm[k] = size * Math.Sin(angle);
            }
            for (int b = 0; b < 2; b++)
            {
                double perFrame = 1 / (bank.click_tau_s[b] * rateHz);
                knockStepRe[b] = Math.Exp(-perFrame) * Math.Cos(perFrame);
                knockStepIm[b] = Math.Exp(-perFrame) * Math.Sin(perFrame);
            }
            makeUp = LevelOfMissing(audible);
        }

        /// Whether anything sounds or will.
        public bool IsRinging
        {
            get { lock (door) return nRinging > 0 || nBlows > 0 || knockRe[0] != 0 || knockRe[1] != 0; }
        }

        /// A blow that begins delayFrames after what is rendered so far. speed: m/s, 0.01 to 50. place: from 0 (middle)
        /// to 1 (end, edge or rim). gain: a factor.
        public void Strike(double speed, double place, double gain = 1, long delayFrames = 0)
        {
            if (!(speed > 0) || !IsFinite(place) || !IsFinite(gain)) return;
            speed = Math.Min(Math.Max(speed, 0.01), 50);
            double touching = Math.Min(ContactTime(speed), bank.longest_click_s);
            int frames = Math.Max(1, (int)Math.Floor(touching * rateHz + 0.5));
            double sum = 0;
            for (int i = 0; i < frames; i++) sum += Shape(i, frames);
            double[] amplitude = Amplitudes(speed, place);
            for (int k = 0; k < amplitude.Length; k++) amplitude[k] *= gain;
            var blow = new Blow { Frames = frames, Impulse = bank.impulse_kg * speed * gain / sum, Amplitude = amplitude };
            lock (door)
            {
                if (nBlows == MostWaiting) return;
                blow.At = now + Math.Max(0, delayFrames);
                blows[nBlows++] = blow;
            }
        }

        /// Writes the next `count` samples to the start of `output`.
        public void Render(float[] output, int count)
        {
            Array.Clear(output, 0, count);
            lock (door)
            {
                for (int done = 0; done < count;)
                {
                    int n = Math.Min(count - done, Block);
                    n = (int)Math.Min(n, Begin());
                    Ring(output, done, n);
                    Knock(output, done, n);
                    now += n;
                    done += n;
                }
            }
        }

        /// Blows that are due add to the motion that earlier ones left, from the middle of the contact on. Gives the
        /// frames until the next one is due.
        long Begin()
        {
            long next = long.MaxValue;
            for (int b = 0; b < nBlows; b++)
            {
                if (blows[b].Amplitude == null) continue;
                long wait = blows[b].At + blows[b].Frames / 2 - now;
                if (wait > 0)
                {
                    next = Math.Min(next, wait);
                    continue;
                }
                for (int k = 0; k < re.Length; k++)
                {
                    re[k] += blows[b].Amplitude[k];
                    ringing[k] = k;
                }
                nRinging = re.Length;
                blows[b].Amplitude = null;
            }
            return next;
        }

        void Ring(float[] output, int offset, int n)
        {
            int left = 0;
            for (int i = 0; i < nRinging; i++)
            {
                int k = ringing[i];
                double c = stepRe[k], s = stepIm[k], x = re[k], y = im[k];
                for (int t = offset; t < offset + n; t++)
                {
                    output[t] += (float)y;
                    double turned = c * x - s * y;
                    y = s * x + c * y;
                    x = turned;
                }
                bool rings = x * x + y * y > Floor * Floor;
                re[k] = rings ? x : 0;
                im[k] = rings ? y : 0;
                if (rings) ringing[left++] = k;
            }
            nRinging = left;
        }

        /// The knock of striker and object as wholes: two spheres that the force sets moving.
        void Knock(float[] output, int offset, int n)
        {
            if (nBlows == 0 && knockRe[0] == 0 && knockRe[1] == 0) return;
            for (int t = 0; t < n; t++)
            {
                double force = 0;
                for (int b = 0; b < nBlows; b++)
                {
                    long i = now + t - blows[b].At;
                    if (i >= 0 && i < blows[b].Frames) force += blows[b].Impulse * Shape(i, blows[b].Frames);
                }
                for (int b = 0; b < 2; b++)
                {
                    double x = knockStepRe[b] * knockRe[b] - knockStepIm[b] * knockIm[b] + force;
                    double y = knockStepIm[b] * knockRe[b] + knockStepRe[b] * knockIm[b];
                    knockRe[b] = x;
                    knockIm[b] = y;
                    // Half of the step at once: the trapezoidal rule.
                    output[offset + t] += (float)(bank.click_gain[b] * (x - y - force / 2));
                }
            }
            int left = 0;
            for (int b = 0; b < nBlows; b++)
                if (blows[b].At + blows[b].Frames > now + n || blows[b].Amplitude != null) blows[left++] = blows[b];
            nBlows = left;
            for (int b = 0; b < 2 && nBlows == 0; b++)
            {
                double size = Math.Sqrt(knockRe[b] * knockRe[b] + knockIm[b] * knockIm[b]);
                if (Math.Abs(bank.click_gain[b]) * size < Floor) knockRe[b] = knockIm[b] = 0;
            }
        }

        /// How long striker and object touch (s).
        double ContactTime(double speed)
        {
            return bank.contact_s * Math.Pow(speed, bank.contact_exponent);
        }

        /// Amplitude of each rung mode after a blow.
        double[] Amplitudes(double speed, double place)
        {
            double position = Math.Min(Math.Max(place, 0), 1) * (bank.regions - 1);
            int first = Math.Min((int)position, bank.regions - 2);
            double share = position - first, duration = ContactTime(speed), own = 0, wanted = 0;
            var amplitude = new double[kept.Length];
            for (int k = 0; k < kept.Length; k++)
            {
                int m = kept[k], here = first * bank.modes + m;
                double gain = (1 - share) * bank.gain[here] + share * bank.gain[here + bank.modes];
                double power = ContactPower(2 * Math.PI * bank.frequency_hz[m] * duration);
                amplitude[k] = Math.Sqrt(power) * gain;
                own += power * gain * gain * heard[m];
                wanted += power * bank.mean_gain[m] * bank.mean_gain[m] * heard[m];
            }
            double level = own > Tiny ? bank.impulse_kg * speed * makeUp * Math.Sqrt(wanted / own) : 0;
            for (int k = 0; k < kept.Length; k++) amplitude[k] *= level;
            return amplitude;
        }

        /// Gain that gives the rung modes the level of all, at the middle speed.
        double LevelOfMissing(int[] audible)
        {
            double duration = ContactTime(Math.Sqrt(bank.speed_m_s[0] * bank.speed_m_s[1])), all = 0, rung = 0;
            for (int k = 0; k < audible.Length; k++)
            {
                int m = audible[k];
                double power = ContactPower(2 * Math.PI * bank.frequency_hz[m] * duration);
                all += power * bank.mean_gain[m] * bank.mean_gain[m] * heard[m];
                if (k == kept.Length - 1) rung = all;
            }
            return rung > Tiny ? Math.Sqrt(all / rung) : 1;
        }

        /// |F|² of a contact between rough skins that touch in `spots` spots across, at x = ω T.
        double ContactPower(double x)
        {
            double smooth = PulseSpectrum(x), spot = PulseSpectrum(x / bank.spots);
            return smooth * smooth + (spot * spot - smooth * smooth) / (bank.spots * bank.spots);
        }

        /// Size of the spectrum of a pulse sin^{3/2}(π t / T) of unit impulse at x = ω T (Gradshteyn & Ryzhik 3.631).
        static double PulseSpectrum(double x)
        {
            double upper = 1.75 + x / (2 * Math.PI), lower = 3.5 - upper;
            if (lower > 0.25) return Math.Exp(LogPeak - LogGamma(upper) - LogGamma(lower));
            double reflected = Math.Exp(LogPeak - LogGamma(upper) + LogGamma(1 - lower)); // Γ(z) Γ(1 - z) = π / sin π z
            return reflected * Math.Abs(Math.Sin(Math.PI * lower)) / Math.PI;
        }

        /// ln Γ(x), x > 0: Stirling's series above 8.
        static double LogGamma(double x)
        {
            double product = 1;
            while (x < 8) product *= x++;
            double i = 1 / x, series = i * (1.0 / 12 - i * i * (1.0 / 360 - i * i / 1260));
            return (x - 0.5) * Math.Log(x) - x + 0.5 * Math.Log(2 * Math.PI) + series - Math.Log(product);
        }

        static double Shape(long i, int frames)
        {
            return Math.Pow(Math.Sin(Math.PI * (i + 0.5) / frames), 1.5);
        }

        static bool IsFinite(double value)
        {
            return !double.IsNaN(value) && !double.IsInfinity(value);
        }

        static int[] Count(int n)
        {
            var numbers = new int[n];
            for (int i = 0; i < n; i++) numbers[i] = i;
            return numbers;
        }
    }
}
