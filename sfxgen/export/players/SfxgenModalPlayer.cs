// Plays a bank of modes in Unity: put it on an object with an AudioSource, drag <sound>.modal.json on Bank, and call
// Strike(speed, place) where the object is hit. Written by sfxgen; a copy that you change is left alone from then on.

using UnityEngine;

namespace Sfxgen
{
    [RequireComponent(typeof(AudioSource))]
    [AddComponentMenu("Audio/Sfxgen Modal Player")]
    public class SfxgenModalPlayer : MonoBehaviour
    {
        [Tooltip("<sound>.modal.json, as sfxgen wrote it")]
        public TextAsset bank;
        [Range(1, 128), Tooltip("Rings only so many modes, the loudest")]
        public int maxModes = 64;
        [Tooltip("Strikes it when it collides, at the speed of the collision")]
        public bool strikeOnCollision;

        ModalBank data;
        volatile ModalObject sound;
        float[] mono = new float[0];

        /// A blow at speed (m/s) and place (0 middle to 1 end, edge or rim).
        public void Strike(float speed, float place, float gain = 1)
        {
            if (sound != null) sound.Strike(speed, place, gain);
        }

        /// A blow at a place drawn from where the manifest lets blows land.
        public void Strike(float speed)
        {
            if (data != null) Strike(speed, Random.Range((float)data.hit[0], (float)data.hit[1]));
        }

        void Awake()
        {
            if (bank == null)
            {
                Debug.LogError("SfxgenModalPlayer: no bank; drag a <sound>.modal.json on it", this);
                return;
            }
            data = JsonUtility.FromJson<ModalBank>(bank.text);
            int rate = AudioSettings.outputSampleRate;
            sound = new ModalObject(data, rate, maxModes);
            // A clip of ones that the filter below multiplies: whether an AudioSource's volume, panning and distance act
            // before the filter or after it, they act on the sound.
            var ones = new float[rate];
            for (int i = 0; i < ones.Length; i++) ones[i] = 1;
            AudioClip clip = AudioClip.Create("ones", ones.Length, 1, rate, false);
            clip.SetData(ones, 0);
            var source = GetComponent<AudioSource>();
            source.clip = clip;
            source.loop = true;
            source.Play();
        }

        void OnCollisionEnter(Collision collision)
        {
            if (strikeOnCollision) Strike(collision.relativeVelocity.magnitude);
        }

        // On the audio thread.
        void OnAudioFilterRead(float[] samples, int channels)
        {
            int count = samples.Length / channels;
            if (sound == null || !sound.IsRinging)
            {
                System.Array.Clear(samples, 0, samples.Length);
                return;
            }
            if (mono.Length < count) mono = new float[count];
            sound.Render(mono, count);
            for (int i = 0; i < count; i++)
                for (int c = 0; c < channels; c++) samples[i * channels + c] *= mono[i];
        }
    }
}
