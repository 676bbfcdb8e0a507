// Rings a struck object from its bank of modes (<sound>.modal.json), at any speed and place, without samples.
// Written by sfxgen; a copy that you change is left alone from then on.
//
//   import { createModalNode } from "./sfxgen-modal.js";
//   const bank = await (await fetch("gong.modal.json")).json();
//   const gong = await createModalNode(audioContext, bank);
//   gong.connect(audioContext.destination);
//   gong.strike(3.5, 0.4);            // 3.5 m/s, between the middle (0) and the edge (1)
//   gong.strike(1, 0.9, 0.5, t);      // at half the level, at the context's time t
//
// The file is both halves: a page imports createModalNode, the worklet that it loads imports the rest.

const FORMAT = "sfxgen-modal";
const VERSION = 1;
const BLOCK = 64; // frames between looks at what has died away
const FLOOR = 1e-6; // -120 dB of full scale: a mode below it is at rest, long before denormal numbers
const MOST_WAITING = 64; // blows that have not begun; further ones are dropped
const TINY = 1e-30;

/** ln Γ(x), x > 0: Stirling's series above 8. */
function logGamma(x) {
  let product = 1;
  while (x < 8) product *= x++;
  const i = 1 / x;
  const series = i * (1 / 12 - i * i * (1 / 360 - (i * i) / 1260));
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - Math.log(product);
}

const LOG_PEAK = 2 * logGamma(1.75);

/** Size of the spectrum of a pulse sin^{3/2}(π t / T) of unit impulse at x = ω T (Gradshteyn & Ryzhik 3.631). */
function pulseSpectrum(x) {
  const upper = 1.75 + x / (2 * Math.PI);
  const lower = 3.5 - upper;
  if (lower > 0.25) return Math.exp(LOG_PEAK - logGamma(upper) - logGamma(lower));
  const reflected = Math.exp(LOG_PEAK - logGamma(upper) + logGamma(1 - lower)); // Γ(z) Γ(1 - z) = π / sin π z
  return (reflected * Math.abs(Math.sin(Math.PI * lower))) / Math.PI;
}

/** |F|² of a contact between rough skins that touch in `spots` spots across. */
function contactPower(x, spots) {
  const smooth = pulseSpectrum(x);
  const spot = pulseSpectrum(x / spots);
  return smooth * smooth + (spot * spot - smooth * smooth) / (spots * spots);
}

/** One object. It knows no audio system: `render` gives its samples, mono, at `rateHz`. */
export class ModalObject {
  /** bank: the parsed JSON. maxModes: ring only so many, the loudest. Throws for a bank that it cannot read. */
  constructor(bank, rateHz, maxModes = 64) {
    if (bank.format !== FORMAT || bank.version !== VERSION) {
      throw new Error(`not a bank of ${FORMAT} version ${VERSION}: build it again, or update this file`);
    }
    this.bank = bank;
    this.rateHz = rateHz;
    const audible = [...Array(bank.modes).keys()].filter((m) => bank.frequency_hz[m] < 0.45 * rateHz);
    this.kept = Int32Array.from(audible.slice(0, maxModes));
    const n = this.kept.length;
    this.stepRe = new Float64Array(n); // e^{(-d + iω) / rate}
    this.stepIm = new Float64Array(n);
    this.heard = new Float64Array(bank.modes); // ∫ of a mode's squared envelope while the ear sums up
    for (let m = 0; m < bank.modes; m++) {
      const decay = bank.decay_per_s[m];
      this.heard[m] = -Math.expm1(-2 * decay * bank.heard_s) / (4 * decay);
    }
    this.kept.forEach((m, k) => {
      const size = Math.exp(-bank.decay_per_s[m] / rateHz);
      const angle = (2 * Math.PI * bank.frequency_hz[m]) / rateHz;
      this.stepRe[k] = size * Math.cos(angle);
      this.stepIm[k] = size * Math.sin(angle);
    });
    this.re = new Float64Array(n); // a mode's state; its sound is the imaginary part
    this.im = new Float64Array(n);
    this.ringing = new Int32Array(n); // the first nRinging entries: modes not at rest
    this.nRinging = 0;
    this.makeUp = this._levelOfMissing(audible);
    this.knockStepRe = bank.click_tau_s.map((tau) => Math.exp(-1 / (tau * rateHz)) * Math.cos(1 / (tau * rateHz)));
    this.knockStepIm = bank.click_tau_s.map((tau) => Math.exp(-1 / (tau * rateHz)) * Math.sin(1 / (tau * rateHz)));
    this.knockRe = [0, 0];
    this.knockIm = [0, 0];
    this.blows = []; // {at, amplitude}: modes to be set ringing
    this.contacts = []; // {at, frames, impulse}: forces
    this.now = 0; // frames rendered so far
  }

  /** Gain that gives the rung modes the level of all, at the middle speed. */
  _levelOfMissing(audible) {
    const { bank } = this;
    const duration = this.contactTime(Math.sqrt(bank.speed_m_s[0] * bank.speed_m_s[1]));
    const energies = audible.map((m) => {
      const power = contactPower(2 * Math.PI * bank.frequency_hz[m] * duration, bank.spots);
      return power * bank.mean_gain[m] ** 2 * this.heard[m];
    });
    const sum = (values) => values.reduce((total, value) => total + value, 0);
    const kept = sum(energies.slice(0, this.kept.length));
    return kept > TINY ? Math.sqrt(sum(energies) / kept) : 1;
  }

  /** How long striker and object touch (s). */
  contactTime(speed) {
    return this.bank.contact_s * speed ** this.bank.contact_exponent;
  }

  /** Amplitude of each rung mode after a blow, Float64Array. speed in m/s, place from 0 (middle) to 1 (edge). */
  amplitudes(speed, place) {
    const { bank, kept } = this;
    const position = Math.min(Math.max(place, 0), 1) * (bank.regions - 1);
    const first = Math.min(Math.floor(position), bank.regions - 2);
    const share = position - first;
    const duration = this.contactTime(speed);
    const amplitude = new Float64Array(kept.length);
    let own = 0;
    let wanted = 0;
    kept.forEach((m, k) => {
      const here = first * bank.modes + m;
      const gain = (1 - share) * bank.gain[here] + share * bank.gain[here + bank.modes];
      const power = contactPower(2 * Math.PI * bank.frequency_hz[m] * duration, bank.spots);
      amplitude[k] = Math.sqrt(power) * gain;
      own += power * gain * gain * this.heard[m];
      wanted += power * bank.mean_gain[m] ** 2 * this.heard[m];
    });
    const level = own > TINY ? bank.impulse_kg * speed * this.makeUp * Math.sqrt(wanted / own) : 0;
    return amplitude.map((a) => a * level);
  }

  /** A blow that begins `delayFrames` after what is rendered so far. speed: m/s, 0.01 to 50. gain: a factor. */
  strike(speed, place, gain = 1, delayFrames = 0) {
    if (!(speed > 0) || !Number.isFinite(place) || !Number.isFinite(gain) || this.contacts.length >= MOST_WAITING) return;
    const v = Math.min(Math.max(speed, 0.01), 50);
    const at = this.now + Math.max(0, Math.round(delayFrames));
    const touching = Math.min(this.contactTime(v), this.bank.longest_click_s);
    const frames = Math.max(1, Math.round(touching * this.rateHz));
    let sum = 0;
    for (let i = 0; i < frames; i++) sum += Math.sin((Math.PI * (i + 0.5)) / frames) ** 1.5;
    this.contacts.push({ at, frames, impulse: (this.bank.impulse_kg * v * gain) / sum });
    const amplitude = this.amplitudes(v, place).map((a) => a * gain);
    this.blows.push({ at: at + (frames >> 1), amplitude }); // from the middle of the contact on
  }

  /** Whether anything sounds or will. */
  get isRinging() {
    return this.nRinging > 0 || this.blows.length > 0 || this.contacts.length > 0 || this.knockRe.some((x) => x !== 0);
  }

  /** Writes the next `count` samples to `out` from `offset` on. */
  render(out, offset = 0, count = out.length - offset) {
    out.fill(0, offset, offset + count);
    for (let done = 0; done < count; ) {
      if (this.blows.length) this._begin();
      let n = Math.min(count - done, BLOCK);
      for (const blow of this.blows) n = Math.min(n, blow.at - this.now);
      this._ring(out, offset + done, n);
      this._knock(out, offset + done, n);
      this.now += n;
      done += n;
    }
  }

  /** Blows that are due add to the motion that earlier ones left. */
  _begin() {
    const due = this.blows.filter((blow) => blow.at <= this.now);
    if (!due.length) return;
    this.blows = this.blows.filter((blow) => blow.at > this.now);
    for (const { amplitude } of due) for (let k = 0; k < amplitude.length; k++) this.re[k] += amplitude[k];
    for (let k = 0; k < this.re.length; k++) this.ringing[k] = k;
    this.nRinging = this.re.length;
  }

  _ring(out, offset, n) {
    let left = 0;
    for (let i = 0; i < this.nRinging; i++) {
      const k = this.ringing[i];
      const c = this.stepRe[k];
      const s = this.stepIm[k];
      let x = this.re[k];
      let y = this.im[k];
      for (let t = offset; t < offset + n; t++) {
        out[t] += y;
        const next = c * x - s * y;
        y = s * x + c * y;
        x = next;
      }
      const rings = x * x + y * y > FLOOR * FLOOR;
      this.re[k] = rings ? x : 0;
      this.im[k] = rings ? y : 0;
      if (rings) this.ringing[left++] = k;
    }
    this.nRinging = left;
  }

  /** The knock of striker and object as wholes: two spheres that the force sets moving. */
  _knock(out, offset, n) {
    if (!this.contacts.length && this.knockRe[0] === 0 && this.knockRe[1] === 0) return;
    for (let t = 0; t < n; t++) {
      let force = 0;
      for (const { at, frames, impulse } of this.contacts) {
        const i = this.now + t - at;
        if (i >= 0 && i < frames) force += impulse * Math.sin((Math.PI * (i + 0.5)) / frames) ** 1.5;
      }
      for (let b = 0; b < 2; b++) {
        const x = this.knockStepRe[b] * this.knockRe[b] - this.knockStepIm[b] * this.knockIm[b] + force;
        const y = this.knockStepIm[b] * this.knockRe[b] + this.knockStepRe[b] * this.knockIm[b];
        this.knockRe[b] = x;
        this.knockIm[b] = y;
        out[offset + t] += this.bank.click_gain[b] * (x - y - force / 2); // half of the step: the trapezoidal rule
      }
    }
    this.contacts = this.contacts.filter(({ at, frames }) => at + frames > this.now + n);
    for (let b = 0; b < 2; b++) {
      const size = Math.abs(this.bank.click_gain[b]) * Math.hypot(this.knockRe[b], this.knockIm[b]);
      if (!this.contacts.length && size < FLOOR) this.knockRe[b] = this.knockIm[b] = 0;
    }
  }
}

if (typeof AudioWorkletProcessor !== "undefined") {
  class ModalProcessor extends AudioWorkletProcessor {
    constructor({ processorOptions }) {
      super();
      const { bank, maxModes, strikes = [] } = processorOptions;
      this.object = new ModalObject(bank, sampleRate, maxModes);
      strikes.forEach((blow) => this.strike(blow));
      this.open = true;
      this.port.onmessage = ({ data }) => {
        if (data === "close") this.open = false;
        else this.strike(data);
      };
    }

    strike([speed, place, gain = 1, time = 0]) {
      this.object.strike(speed, place, gain, time * sampleRate - currentFrame);
    }

    process(inputs, outputs) {
      const [first, ...others] = outputs[0];
      this.object.render(first);
      others.forEach((channel) => channel.set(first));
      return this.open;
    }
  }
  registerProcessor(FORMAT, ModalProcessor);
}

const loading = new WeakMap(); // audio context → its loading of this file

/**
 * An AudioWorkletNode that rings the bank, with `strike(speed, place, gain = 1, time = 0)` and `close()`.
 * options: maxModes; strikes, a list of [speed, place, gain, time] that are there from the start.
 */
export async function createModalNode(context, bank, { maxModes = 64, strikes = [] } = {}) {
  if (!loading.has(context)) loading.set(context, context.audioWorklet.addModule(import.meta.url));
  await loading.get(context);
  const node = new AudioWorkletNode(context, FORMAT, {
    numberOfInputs: 0,
    outputChannelCount: [1],
    processorOptions: { bank, maxModes, strikes },
  });
  node.strike = (speed, place, gain = 1, time = 0) => node.port.postMessage([speed, place, gain, time]);
  node.close = () => node.port.postMessage("close");
  return node;
}
