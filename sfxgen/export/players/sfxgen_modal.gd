# Rings a struck object from its bank of modes (<sound>.modal.json), at any speed and place, without
# samples. Written by sfxgen; a copy that you change is left alone from then on. SfxgenModalPlayer
# plays it in Godot 4: this script knows no node and also runs in Godot 3. It extends nothing, which
# makes it a RefCounted (Godot 3: a Reference).
#
# An interpreted loop a mode and sample would be slow. Three modes at a time are one Vector3 y, with
#     d' = r² d - (1 - 2 r cos θ + r²) y,  y' = y + d'
# for a block of samples: the two-pole resonator as differences, which single precision carries even
# at low frequencies. Each block starts anew from the state z, held in double precision.

const FORMAT = "sfxgen-modal"
const VERSION = 1
const BLOCK = 64  # samples between looks at what has died away
const FLOOR = 0.000001  # -120 dB of full scale: below it a mode rests, long before denormal numbers
const MOST_WAITING = 64  # blows that have not begun; further ones are dropped
const TINY = 1e-30

var is_valid: bool = false  # whether the bank could be read
var bank: Dictionary = {}
var rate_hz: float = 0.0

var _kept: Array = []  # the modes rung, by decay, so that those of a group end together
var _decay: Array = []  # of each, a sample: e^{-decay + i angle}
var _angle: Array = []
var _heard: Array = []  # the integral of its squared envelope while the ear sums up
var _back_re: Array = []  # a sample back
var _back_im: Array = []
var _block_re: Array = []  # a block on
var _block_im: Array = []
var _re: Array = []  # its state; its sound is the imaginary part
var _im: Array = []
var _damp: Array = []  # Vector3 of each three
var _stiff: Array = []
var _awake: Array = []
var _n_awake: int = 0
var _make_up: float = 1.0
var _knock_step: Array = []  # Vector2
var _knock_state: Array = [Vector2.ZERO, Vector2.ZERO]
var _blows: Array = []  # [sample, amplitudes]: modes to be set ringing
var _contacts: Array = []  # [sample, samples, impulse]: forces
var _now: int = 0  # samples rendered so far
var _log_peak: float = 0.0


# parsed: the bank's JSON. max_modes: rings only so many, the loudest.
func _init(parsed: Dictionary, mix_rate: float, max_modes: int = 32):
	if parsed.get("format") != FORMAT or int(parsed.get("version", 0)) != VERSION:
		push_error("not a %s bank, version %d: build again or update this" % [FORMAT, VERSION])
		return
	is_valid = true
	bank = parsed
	rate_hz = mix_rate
	_log_peak = 2.0 * _log_gamma(1.75)
	var audible: Array = []
	for m in range(int(bank["modes"])):
		if bank["frequency_hz"][m] < 0.45 * rate_hz:
			audible.append(m)
	_keep(audible, max_modes)
	for k in range(_re.size()):
		_add_mode(k)
	for g in range(_awake.size()):
		_add_group(3 * g)
	for tau in bank["click_tau_s"]:
		var size: float = exp(-1.0 / (tau * rate_hz))
		_knock_step.append(Vector2(size * cos(1.0 / (tau * rate_hz)), size * sin(1.0 / (tau * rate_hz))))


# A blow that begins delay samples after what is rendered so far. speed: m/s, 0.01 to 50. place:
# from 0 (middle) to 1 (end, edge or rim). gain: a factor.
func strike(speed: float, place: float, gain: float = 1.0, delay: int = 0) -> void:
	if not is_valid or not speed > 0.0 or is_nan(place) or is_nan(gain):
		return
	if _contacts.size() >= MOST_WAITING:
		return
	var v: float = clamp(speed, 0.01, 50.0)
	var at: int = _now + int(max(0, delay))
	var touching: float = min(contact_time(v), bank["longest_click_s"])
	var n: int = int(max(1.0, floor(touching * rate_hz + 0.5)))
	var total: float = 0.0
	for i in range(n):
		total += pow(sin(PI * (i + 0.5) / n), 1.5)
	_contacts.append([at, n, bank["impulse_kg"] * v * gain / total])
	var amplitude: Array = amplitudes(v, place)
	for k in range(amplitude.size()):
		amplitude[k] *= gain
	_blows.append([at + (n >> 1), amplitude])  # from the middle of the contact on


# Whether anything sounds or will.
func is_ringing() -> bool:
	return _n_awake > 0 or _blows.size() > 0 or _contacts.size() > 0 or _knock_sounds()


# How long striker and object touch (s).
func contact_time(speed: float) -> float:
	return bank["contact_s"] * pow(speed, bank["contact_exponent"])


# The next samples, mono: an Array of float.
func render(count: int) -> Array:
	var out: Array = []
	out.resize(count)
	for t in range(count):
		out[t] = 0.0
	if not is_valid:
		return out
	var done: int = 0
	while done < count:
		var n: int = int(min(min(count - done, BLOCK), _begin()))
		_ring(out, done, n)
		_knock(out, done, n)
		_now += n
		done += n
	return out


# Amplitude of each rung mode after a blow.
func amplitudes(speed: float, place: float) -> Array:
	var modes: int = int(bank["modes"])
	var last: int = int(bank["regions"]) - 1
	var position: float = clamp(place, 0.0, 1.0) * last
	var first: int = int(min(floor(position), last - 1))
	var share: float = position - first
	var duration: float = contact_time(speed)
	var found: Array = []
	var own: float = 0.0
	var wanted: float = 0.0
	for k in range(_kept.size()):
		var here: int = first * modes + _kept[k]
		var gain: float = (1.0 - share) * bank["gain"][here] + share * bank["gain"][here + modes]
		var power: float = _contact_power(TAU * bank["frequency_hz"][_kept[k]] * duration)
		found.append(sqrt(power) * gain)
		own += power * gain * gain * _heard[k]
		wanted += power * pow(bank["mean_gain"][_kept[k]], 2.0) * _heard[k]
	var level: float = 0.0
	if own > TINY:
		level = bank["impulse_kg"] * speed * _make_up * sqrt(wanted / own)
	for k in range(found.size()):
		found[k] *= level
	return found


# Chooses the modes that are rung, and finds the gain that gives them the level of all, at the
# middle speed.
func _keep(audible: Array, max_modes: int) -> void:
	var duration: float = contact_time(sqrt(bank["speed_m_s"][0] * bank["speed_m_s"][1]))
	var all: float = 0.0
	var rung: float = 0.0
	for m in audible:
		var power: float = _contact_power(TAU * bank["frequency_hz"][m] * duration)
		all += power * pow(bank["mean_gain"][m], 2.0) * _heard_of(m)
		if _kept.size() < max_modes:
			rung = all
			var at: int = 0
			while at < _kept.size() and bank["decay_per_s"][_kept[at]] < bank["decay_per_s"][m]:
				at += 1
			_kept.insert(at, m)
	if rung > TINY:
		_make_up = sqrt(all / rung)
	for _g in range(int(ceil(_kept.size() / 3.0))):
		_awake.append(false)
		for _j in range(3):
			_re.append(0.0)
			_im.append(0.0)


# The steps of the k-th rung mode; those that fill up the last three are silent.
func _add_mode(k: int) -> void:
	var decay: float = 1.0
	var angle: float = 0.0
	if k < _kept.size():
		decay = bank["decay_per_s"][_kept[k]] / rate_hz
		angle = TAU * bank["frequency_hz"][_kept[k]] / rate_hz
		_heard.append(_heard_of(_kept[k]))
	_decay.append(decay)
	_angle.append(angle)
	_back_re.append(exp(decay) * cos(angle))
	_back_im.append(-exp(decay) * sin(angle))
	_block_re.append(exp(-decay * BLOCK) * cos(angle * BLOCK))
	_block_im.append(exp(-decay * BLOCK) * sin(angle * BLOCK))


func _add_group(k: int) -> void:
	var damp: Array = []
	var stiff: Array = []
	for j in range(k, k + 3):
		var size: float = exp(-_decay[j])
		damp.append(size * size)
		stiff.append(pow(1.0 - size, 2.0) + 4.0 * size * pow(sin(0.5 * _angle[j]), 2.0))
	_damp.append(Vector3(damp[0], damp[1], damp[2]))
	_stiff.append(Vector3(stiff[0], stiff[1], stiff[2]))


# Blows that are due add to the motion that earlier ones left. Gives the samples until the next one.
func _begin() -> int:
	var next: int = BLOCK
	var waiting: Array = []
	for blow in _blows:
		var wait: int = blow[0] - _now
		if wait > 0:
			next = int(min(next, wait))
			waiting.append(blow)
			continue
		for k in range(_kept.size()):
			_re[k] += blow[1][k]
		for g in range(_awake.size()):
			_awake[g] = true
		_n_awake = _awake.size()
	_blows = waiting
	return next


func _ring(out: Array, offset: int, n: int) -> void:
	if _n_awake == 0:
		return
	var one: Vector3 = Vector3.ONE
	_n_awake = 0
	for g in range(_awake.size()):
		if not _awake[g]:
			continue
		var k: int = 3 * g
		var damp: Vector3 = _damp[g]
		var stiff: Vector3 = _stiff[g]
		var y: Vector3 = Vector3(_im[k], _im[k + 1], _im[k + 2])
		var d: Vector3 = Vector3(_rise(k), _rise(k + 1), _rise(k + 2))
		for t in range(offset, offset + n):
			out[t] += y.dot(one)
			d = damp * d - stiff * y
			y += d
		_awake[g] = _turn(k, n)
		if _awake[g]:
			_n_awake += 1


# By how much a mode's sound rose to its last sample.
func _rise(k: int) -> float:
	return _im[k] - _back_re[k] * _im[k] - _back_im[k] * _re[k]


# Takes the state of three modes n samples on. Gives whether they still sound.
func _turn(k: int, n: int) -> bool:
	var power: float = 0.0
	for j in range(k, k + 3):
		var c: float = _block_re[j]
		var s: float = _block_im[j]
		if n != BLOCK:
			var size: float = exp(-_decay[j] * n)
			c = size * cos(_angle[j] * n)
			s = size * sin(_angle[j] * n)
		var x: float = c * _re[j] - s * _im[j]
		var y: float = s * _re[j] + c * _im[j]
		_re[j] = x
		_im[j] = y
		power = max(power, x * x + y * y)
	if power > FLOOR * FLOOR:
		return true
	for j in range(k, k + 3):
		_re[j] = 0.0
		_im[j] = 0.0
	return false


func _knock_sounds() -> bool:
	return _knock_state[0] != Vector2.ZERO or _knock_state[1] != Vector2.ZERO


# The knock of striker and object as wholes: two spheres that the force sets moving.
func _knock(out: Array, offset: int, n: int) -> void:
	if _contacts.size() == 0 and not _knock_sounds():
		return
	for t in range(n):
		var force: float = 0.0
		for contact in _contacts:
			var i: int = _now + t - contact[0]
			if i >= 0 and i < contact[1]:
				force += contact[2] * pow(sin(PI * (i + 0.5) / contact[1]), 1.5)
		for b in range(2):
			var z: Vector2 = _knock_state[b]
			var step: Vector2 = _knock_step[b]
			z = Vector2(step.x * z.x - step.y * z.y + force, step.y * z.x + step.x * z.y)
			_knock_state[b] = z
			# Half of the step at once: the trapezoidal rule.
			out[offset + t] += bank["click_gain"][b] * (z.x - z.y - 0.5 * force)
	var going: Array = []
	for contact in _contacts:
		if contact[0] + contact[1] > _now + n:
			going.append(contact)
	_contacts = going
	for b in range(2):
		if going.size() == 0 and abs(bank["click_gain"][b]) * _knock_state[b].length() < FLOOR:
			_knock_state[b] = Vector2.ZERO


func _heard_of(m: int) -> float:
	var decay: float = bank["decay_per_s"][m]
	return (1.0 - exp(-2.0 * decay * bank["heard_s"])) / (4.0 * decay)


# |F|² of a contact between rough skins that touch in `spots` spots across, at x = ω T.
func _contact_power(x: float) -> float:
	var spots: float = bank["spots"]
	var smooth: float = _pulse_spectrum(x)
	var spot: float = _pulse_spectrum(x / spots)
	return smooth * smooth + (spot * spot - smooth * smooth) / (spots * spots)


# Size of the spectrum of a pulse sin^{3/2}(π t / T) of unit impulse at x = ω T (Gradshteyn & Ryzhik
# 3.631).
func _pulse_spectrum(x: float) -> float:
	var upper: float = 1.75 + x / TAU
	var lower: float = 3.5 - upper
	if lower > 0.25:
		return exp(_log_peak - _log_gamma(upper) - _log_gamma(lower))
	var reflected: float = exp(_log_peak - _log_gamma(upper) + _log_gamma(1.0 - lower))
	return reflected * abs(sin(PI * lower)) / PI


# ln Γ(x), x > 0: Stirling's series above 8.
func _log_gamma(x: float) -> float:
	var product: float = 1.0
	while x < 8.0:
		product *= x
		x += 1.0
	var i: float = 1.0 / x
	var series: float = i * (1.0 / 12.0 - i * i * (1.0 / 360.0 - i * i / 1260.0))
	return (x - 0.5) * log(x) - x + 0.5 * log(TAU) + series - log(product)
