"""Which packages and repositories hold recordings of blows on known materials, and which of their files these are."""

from __future__ import annotations

# By package (Debian's where no registry is named), what is struck, by names of files, of members of archives, and of
# samples of sound banks.
PACKAGES: dict[str, dict[str, str]] = {
    "minetest-data": {
        "metal": r"default_(metal_footstep|dig_metal|dug_metal|place_node_metal)",
        "wood": r"default_(wood_footstep|dig_choppy)",
        "glass": r"default_(glass_footstep|break_glass)",
        "stone": r"default_(hard_footstep|place_node_hard|dig_cracky)",
    },
    "openclonk-data": {
        "metal": r"Metal.*/(Dull|Light)MetalHit|Shield.*/MetalHit",
        "wood": r"Wood.*/(Dull)?WoodHit|Shield.*/WoodHit|Tree.*/Chop",
        "glass": r"/Glass(Hit|Break|Shatter)",
        "stone": r"/RockHit|StoneGate.*/GateHit",
    },
    "ufoai-sound": {
        "metal": r"footsteps/metal",
        "wood": r"footsteps/wood",
        "glass": r"misc/breakglass",
        "stone": r"footsteps/(stone|tile)",
        "plastic": r"footsteps/linoleum",
    },
    "supertuxkart-data": {"metal": r"sfx/(anvil|metal_clang)", "wood": r"sfx/wooden_bridge"},
    "sonic-pi-samples": {"metal": r"drum_cowbell|perc_bell", "wood": r"elec_wood"},
    "redeclipse-data": {"metal": r"sfx/shell\d?\.", "stone": r"player/concstep"},
    "hydrogen-drumkits": {
        "metal": r"Cowbell-|Agogo|Bell (Hit|Mute)|PaisteBell|misc_Cowbell",
        "wood": r"Clave-|WoodBlock|Stick-\d|stick_Woody",
        "glass": r"Waterglass",
    },
    "lmms-common": {"wood": r"drums/(wood|clav)\d"},
    "timgm6mb-soundfont": {
        "metal": r"^(Cowbell|Mute Triangle|Agogo Bell|Glockenspiel|Vibes|Ride Bell)",
        "wood": r"^(Castanets|Rosewood Claves|Drum Stick|Wood Block|Xylophone|Marimba)",
    },
    "musescore-general-soundfont": {
        "metal": r"^(Triangle|(High|Low) Agogo|Cow Bell|Glocken|Tubular Bells|Vibraphone)",
        "wood": r"^(Temple Block|MSnr-stick click|Sticks|Castanet|(High|Low) Woodblock|Clave$|Marimba|Xylophone)",
    },
    "flare-game": {
        "metal": r"step_metal|inventory_metal",
        "wood": r"inventory_wood",
        "glass": r"inventory_potion|powers/potion",
    },
    "ardentryst": {"wood": r"/WoodHit", "stone": r"STEP_CONCRETE|/Rock|/stone\."},
    "lugaru-data": {"metal": r"/Clank|MetalHit", "wood": r"/Staff(Body|Head)", "stone": r"FootStepStone"},
    "xboard": {"wood": r"woodthunk"},
    "pychess": {"wood": r"/(move1|capture1|capture2|mov2)\."},
    "gnubg-data": {"wood": r"/(chequer|move|take)\."},
    "caveexpress-data": {"wood": r"crate-hit", "stone": r"stone-hit"},
    "sound-icons": {"glass": r"glass-water"},
    "sdl-ball-data": {"glass": r"glass-brick-(hit|break)", "stone": r"cement-brick-hit"},
    "ukui-media": {"metal": r"/(clank|clang)\.", "glass": r"/glass\."},
    "brainparty-data": {"glass": r"glass_break"},
    "freedroidrpg-data": {"metal": r"drop_sword", "glass": r"Glass_Break|drop_potion"},
    "megaglest-data": {"metal": r"/anvil\d", "wood": r"harvest_wood", "stone": r"/(worker|technician)_mine\d"},
    "foobillardplus-data": {"plastic": r"/smack"},
    "iagno": {"plastic": r"flip-piece"},
    "fillets-ng-data": {"plastic": r"/(key|space|enter)\d+"},
    "bucklespring-data": {"plastic": r"-1\.wav"},  # a key that goes down; -0 comes up
    "pypi:keyboardsounds==6.4.3": {"plastic": r"profiles/(?!ios|opera|typewriter|.*(release|_up))"},
    "0ad-data": {
        "metal": r"impact/(arrow|sling|shield)_metal|weapon/swordhit",
        "wood": r"impact/(arrow|sling|shield)_wood|singlesteps/fs_wood|con_wood|lumber_tree_",
        "stone": r"impact/(arrow|sling)_stone|singlesteps/fs_rock|con_stone|mine_stone_",
    },
    "openarena-data": {"metal": r"footsteps/clank"},
    "berusky2-data": {"metal": r"/stepssteel", "wood": r"/stepswood", "stone": r"/stepsstone"},
    "epiphany-data": {"stone": r"/boulder_fall"},
    "laby": {"stone": r"/rock-drop"},
    "widelands-data": {"stone": r"/(stonecutter|stonemason)"},
    "npm:@3d-dice/dice-box-threejs@0.0.12": {  # dice on dice; on tables they are of two materials
        "metal": r"dicehit_(metal|coin)",
        "wood": r"dicehit_wood",
        "plastic": r"dicehit_plastic",
    },
    # The sound library of One Laptop per Child, by students of Berklee College of Music (CC BY 3.0).
    "github:Tonejs/audio@efd8296360f9526e379bfbe5c1698ff54d6a1d34": {
        "metal": r"berklee/(Bang_Tin|CookieTin|cookietin\d|cookie_sheet|DroppingCoins|\w*metal_bars|Metal_on_"
        r"|Trashcan_(resonant_)?hit|allen_wrench|aluminumhit|banging_a_grill|bang_on_barel|barel_(hit|strike)|brassbowlh"
        r"|can_hit|chain_?drop|clang_|cowbell|drymetalhit|dumpster_hit|hubcap\d|iron_bell|lid(drop|hit)|locker_hit"
        r"|metal_(beam|container|disk|drop|hit|lid|pot|sheet_hit|stick|strike)|metalhit|metalpipe_clunks|naildrop"
        r"|pan_hit|rail_hit|short_metal_hit|small_metal_hit|tin_?can|tuning_fork)",
        "wood": r"berklee/(boardSlam|wood_(box|pole|slap)|woodblock|wooden_?clap|hand_on_wood|small_wood_crash"
        r"|stairs\+sticks|sticks_|walking_on_wood|bamboo|anklung_\d)",
        "glass": r"berklee/(GlassBreak|glass_(break|cup|rattle|spin)|glas_spin|glass_?beads_?\d|glasshit|ball_in_glass"
        r"|chip_in_glass|wine_(bottle|glass)|water_glass)",
        "stone": r"berklee/(stone\d|moving_bricks|pebbles_in_hands)",
        "plastic": r"berklee/(plastic_(bottle_|box|flick|hit|rattle)|pvc_|waterbottle_hit|bbs_on_cd|cd_spin"
        r"|ping_pong_(\d|solo)|steel_balls_plastic|vinyl_hit|pillrattle)",
    },
    # A sound pack of Cataclysm: Dark Days Ahead, chosen from Freesound (CC BY-SA 4.0).
    "github:Fris0uman/CDDA-Soundpacks@88586bb600eae4b053a8928bddbd5371d0b1ecc6": {
        "metal": r"smash_(fail|success)/metal/|plmove/walk_metal/",
        "wood": r"smash_(fail|success)/(wood_furn|door_wood)/",
        "glass": r"smash_(fail|success)/glass/",
        "stone": r"smash_(fail|success)/(brick|concrete)/|plmove/walk_t_(concrete|rock_floor)",
        "plastic": r"smash_(fail|success)/plastic/",
    },
    "github:mrDIMAS/StationIapetus@bb21eda7d1feb014b5d162d00e804329bfb166fa": {  # GPL 3
        "metal": r"FootStep_(shoe_)?metal",
        "wood": r"FootStep_shoe_wood",
        "stone": r"FootStep_shoe_stone",
    },
    "github:sfzinstruments/Discord-SFZ-GM-Bank@7a9c478fe331f94f246d33332f0adedb25bbbe27": {  # CC0 and CC BY
        "metal": r"Drums/.*/(Agogo|Cowbell1|Triangle1_Hit|BellTree)",
        "wood": r"Drums/.*/(Claves1|wood_click)",
        "plastic": r"castagnette-plastic",
    },
    "github:iwenzhou/kenney@b7729283e47d38f203d85560cfda5b2c1fd6fc7e": {  # CC0
        "metal": r"/metal(Pot|Latch|Click)|/handleCoins",
        "plastic": r"/(die|dice)Throw",
    },
    "github:sawa9889/aerohockey@9bb7e5c03c902d14c01bae7159af3a1cc1eff7eb": {
        "plastic": r"plastic_bumps"
    },  # CC BY-SA 4.0
    "github:FluffyStuff/OpenRiichi@cf3f6e53bc3c10547c579bd1f4dda5bea8b3a7d0": {  # GPL 3; the tiles of mahjong
        "plastic": r"Sounds/(tile|discard)\."
    },
    "github:henshmi/Classic-Pool-Game@f60e9b824648faabe1d931e9116b20333559da2a": {  # MIT; balls of phenolic resin
        "plastic": r"/BallsCollide\."
    },
}
LIBRARIES = ("Tonejs+audio", "Fris0uman+CDDA-Soundpacks")
