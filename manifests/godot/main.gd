extends Control
## A sound board: one button for each AudioStreamRandomizer below SOUNDS, in a row for each folder.
##
## A press plays one of the sound's variations. A looping sound, such as wind, starts at one press
## and stops at the next. A sound with velocity layers has a randomizer for each layer, and so a
## button for each: sword_clang_soft, sword_clang_medium, sword_clang_hard.

const SOUNDS := "res://audio/sfx"

@onready var _board: VBoxContainer = %Board
@onready var _status: Label = $Column/Status


func _ready() -> void:
	var paths := _randomizers_below(SOUNDS)
	if paths.is_empty():
		_status.text = (
			"No sounds in %s yet: run `sfxgen build` in this project, then start it again." % SOUNDS
		)
		return
	_status.text = "%d sounds. Press one again for its next variation." % paths.size()
	var rows := {}
	for path in paths:
		var folder := path.get_base_dir()
		if not rows.has(folder):
			rows[folder] = _add_row(folder.trim_prefix(SOUNDS).trim_prefix("/"))
		rows[folder].add_child(_button_for(path))


## Every .tres below a folder, sorted. An exported game lists a converted resource as
## `name.tres.remap`.
func _randomizers_below(folder: String) -> PackedStringArray:
	var found := PackedStringArray()
	if not DirAccess.dir_exists_absolute(folder):
		return found
	for file in DirAccess.get_files_at(folder):
		var original := file.trim_suffix(".remap")
		if original.get_extension() == "tres":
			found.append(folder.path_join(original))
	for subfolder in DirAccess.get_directories_at(folder):
		found.append_array(_randomizers_below(folder.path_join(subfolder)))
	found.sort()
	return found


func _add_row(title: String) -> HFlowContainer:
	var heading := Label.new()
	heading.text = title.capitalize()
	_board.add_child(heading)
	var row := HFlowContainer.new()
	_board.add_child(row)
	return row


func _button_for(path: String) -> Button:
	var randomizer: AudioStreamRandomizer = load(path)
	var player := AudioStreamPlayer.new()
	player.stream = randomizer
	player.max_polyphony = 4
	add_child(player)
	var button := Button.new()
	button.text = path.get_file().get_basename()
	button.tooltip_text = "%d variations" % randomizer.streams_count
	button.toggle_mode = _loops(randomizer)
	if button.toggle_mode:
		button.toggled.connect(func(on: bool) -> void: player.playing = on)
	else:
		button.pressed.connect(player.play)
	return button


func _loops(randomizer: AudioStreamRandomizer) -> bool:
	var stream := randomizer.get_stream(0)
	if stream is AudioStreamWAV:
		return stream.loop_mode != AudioStreamWAV.LOOP_DISABLED
	return stream.get("loop") == true
