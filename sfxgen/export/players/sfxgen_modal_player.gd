class_name SfxgenModalPlayer
extends Node
## Plays a bank of modes (<sound>.modal.json) in Godot 4, at any speed and place, without samples.
##
## Put it below an AudioStreamPlayer, AudioStreamPlayer2D or AudioStreamPlayer3D, give it a bank,
## and call strike() where the object is hit. Written by sfxgen; a copy that you change is left
## alone from then on.

const Core := preload("sfxgen_modal.gd")

## <sound>.modal.json, as sfxgen wrote it.
@export var bank: JSON
## Rings only so many modes, the loudest. 32 cost about a tenth of a core while they ring.
@export_range(1, 128) var max_modes := 32
## Sampling rate (Hz). A lower one costs less and leaves out modes above 0.45 of it.
@export_range(8000, 48000) var mix_rate := 44100
## How far ahead the sound is made (s). Less answers a blow sooner; too little crackles.
@export_range(0.02, 0.5) var buffer_s := 0.06

var _object: Core
var _output: Node


func _ready() -> void:
	set_process(false)
	_output = get_parent()
	if not (
		_output is AudioStreamPlayer
		or _output is AudioStreamPlayer2D
		or _output is AudioStreamPlayer3D
	):
		push_error("SfxgenModalPlayer: put it below an AudioStreamPlayer, 2D or 3D")
		return
	if bank == null or not bank.data is Dictionary:
		push_error("SfxgenModalPlayer: no bank; give it a <sound>.modal.json")
		return
	var object: Core = Core.new(bank.data, mix_rate, max_modes)
	if not object.is_valid:
		return
	var generator := AudioStreamGenerator.new()
	generator.mix_rate = mix_rate
	generator.buffer_length = buffer_s
	_output.set("stream", generator)
	_object = object


## A blow at [param speed] (m/s) and [param place], from 0 (middle) to 1 (end, edge or rim); below
## 0 it is drawn from where the manifest lets blows land.
func strike(speed: float, place := -1.0, gain := 1.0) -> void:
	if _object == null:
		return
	if place < 0.0:
		place = randf_range(_object.bank["hit"][0], _object.bank["hit"][1])
	_object.strike(speed, place, gain)
	if not _output.get("playing"):
		_output.call("play")
	set_process(true)


func _process(_delta: float) -> void:
	if not _output.get("playing"):  # the game stopped it
		set_process(false)
		return
	var playback := _output.call("get_stream_playback") as AudioStreamGeneratorPlayback
	if playback == null:
		return
	var count := playback.get_frames_available()
	var samples: Array = _object.render(count)
	var frames := PackedVector2Array()
	frames.resize(count)
	for i in count:
		frames[i] = Vector2.ONE * samples[i]
	playback.push_buffer(frames)
	if not _object.is_ringing():
		set_process(false)
