using System;
using System.Collections.Generic;
using UnityEngine;

/// <summary>
/// Plays the sounds of Assets/Audio/Sfx by their names in the manifests, a random variation each time and never the
/// same one twice in a row. In the inspector, give it sfx.json as the index and the folder's audio clips.
/// </summary>
[RequireComponent(typeof(AudioSource))]
public sealed class SfxPlayer : MonoBehaviour
{
    // The parts of sfx.json that are used here, in the shape that JsonUtility reads.
    [Serializable] private sealed class Index { public List<Sound> sounds; }
    [Serializable] private sealed class Sound { public string name; public List<SoundFile> files; }
    [Serializable] private sealed class SoundFile { public string path; public string layer; }

    [SerializeField] private TextAsset index;
    [SerializeField] private AudioClip[] clips;

    private readonly Dictionary<string, List<AudioClip>> variations = new Dictionary<string, List<AudioClip>>();
    private readonly Dictionary<string, int> last = new Dictionary<string, int>();
    private AudioSource source;

    private void Awake()
    {
        source = GetComponent<AudioSource>();
        var clipByName = new Dictionary<string, AudioClip>();
        foreach (var clip in clips) clipByName[clip.name] = clip;
        foreach (var sound in JsonUtility.FromJson<Index>(index.text).sounds)
        {
            foreach (var file in sound.files)
            {
                var name = System.IO.Path.GetFileNameWithoutExtension(file.path);
                if (!clipByName.TryGetValue(name, out var clip))
                {
                    Debug.LogWarning($"{name} is in the index but not among the clips of {this.name}", this);
                    continue;
                }
                var key = Key(sound.name, file.layer);
                if (!variations.ContainsKey(key)) variations[key] = new List<AudioClip>();
                variations[key].Add(clip);
            }
        }
    }

    /// <summary>Plays one variation, of the given velocity layer where the sound has layers.</summary>
    public void Play(string sound, string layer = "", float volume = 1f)
    {
        source.PlayOneShot(Next(sound, layer), volume);
    }

    /// <summary>Plays a looping sound on an AudioSource of its own, until that source is stopped.</summary>
    public void PlayLoop(string sound, AudioSource on)
    {
        on.clip = Next(sound, "");
        on.loop = true;
        on.Play();
    }

    private AudioClip Next(string sound, string layer)
    {
        var key = Key(sound, layer);
        if (!variations.TryGetValue(key, out var choices))
            throw new ArgumentException($"no sound '{key}' in the index; is it built?", nameof(sound));
        var pick = UnityEngine.Random.Range(0, choices.Count);
        if (choices.Count > 1 && last.TryGetValue(key, out var before) && pick == before)
            pick = (pick + 1) % choices.Count;
        last[key] = pick;
        return choices[pick];
    }

    private static string Key(string sound, string layer)
    {
        return string.IsNullOrEmpty(layer) ? sound : sound + "/" + layer;
    }
}
