"""The rows of the built-in class tables: id, name (~ for a space), category, train id, red, green, blue.

Sources: cityscapesScripts `helpers/labels.py` (ids, names, categories, colours, train ids); CamVid's
`label_colors.txt`; the CamVid tutorial of SegNet (its 11 classes and their colours); the README files of
SYNTHIA-RAND-CITYSCAPES and of the SYNTHIA video sequences (ids, colours), with the train ids that the public readers
of domain adaptation agree on.
"""

# The licence plate (-1) is drawn in no label map; painted ones show it in the car's colour, and read as car.
_CITYSCAPES = """
 0 unlabeled            void         255    0   0   0
 1 ego~vehicle          void         255    0   0   0
 2 rectification~border void         255    0   0   0
 3 out~of~roi           void         255    0   0   0
 4 static               void         255    0   0   0
 5 dynamic              void         255  111  74   0
 6 ground               void         255   81   0  81
 7 road                 flat           0  128  64 128
 8 sidewalk             flat           1  244  35 232
 9 parking              flat         255  250 170 160
10 rail~track           flat         255  230 150 140
11 building             construction   2   70  70  70
12 wall                 construction   3  102 102 156
13 fence                construction   4  190 153 153
14 guard~rail           construction 255  180 165 180
15 bridge               construction 255  150 100 100
16 tunnel               construction 255  150 120  90
17 pole                 object         5  153 153 153
18 polegroup            object       255  153 153 153
19 traffic~light        object         6  250 170  30
20 traffic~sign         object         7  220 220   0
21 vegetation           nature         8  107 142  35
22 terrain              nature         9  152 251 152
23 sky                  sky           10   70 130 180
24 person               human         11  220  20  60
25 rider                human         12  255   0   0
26 car                  vehicle       13    0   0 142
27 truck                vehicle       14    0   0  70
28 bus                  vehicle       15    0  60 100
29 caravan              vehicle      255    0   0  90
30 trailer              vehicle      255    0   0 110
31 train                vehicle       16    0  80 100
32 motorcycle           vehicle       17    0   0 230
33 bicycle              vehicle       18  119  11  32
"""

_CAMVID11 = """
 0 Sky         sky            0  128 128 128
 1 Building    construction   1  128   0   0
 2 Pole        object         2  192 192 128
 3 Road        flat           3  128  64 128
 4 Pavement    flat           4   60  40 222
 5 Tree        nature         5  128 128   0
 6 SignSymbol  object         6  192 128 128
 7 Fence       construction   7   64  64 128
 8 Car         vehicle        8   64   0 128
 9 Pedestrian  human          9   64  64   0
10 Bicyclist   human         10    0 128 192
11 Unlabelled  void         255    0   0   0
"""

# In the order of label_colors.txt; the category is the one of the 11 that a class is trained as.
_CAMVID32 = """
 0 Animal            Pedestrian   9   64 128  64
 1 Archway           Building     1  192   0 128
 2 Bicyclist         Bicyclist   10    0 128 192
 3 Bridge            Building     1    0 128  64
 4 Building          Building     1  128   0   0
 5 Car               Car          8   64   0 128
 6 CartLuggagePram   Pedestrian   9   64   0 192
 7 Child             Pedestrian   9  192 128  64
 8 Column_Pole       Pole         2  192 192 128
 9 Fence             Fence        7   64  64 128
10 LaneMkgsDriv      Road         3  128   0 192
11 LaneMkgsNonDriv   Road         3  192   0  64
12 Misc_Text         SignSymbol   6  128 128  64
13 MotorcycleScooter Bicyclist   10  192   0 192
14 OtherMoving       Car          8  128  64  64
15 ParkingBlock      Pavement     4   64 192 128
16 Pedestrian        Pedestrian   9   64  64   0
17 Road              Road         3  128  64 128
18 RoadShoulder      Pavement     4  128 128 192
19 Sidewalk          Pavement     4    0   0 192
20 SignSymbol        SignSymbol   6  192 128 128
21 Sky               Sky          0  128 128 128
22 SUVPickupTruck    Car          8   64 128 192
23 TrafficCone       Pole         2    0   0  64
24 TrafficLight      SignSymbol   6    0  64  64
25 Train             Car          8  192  64 128
26 Tree              Tree         5  128 128   0
27 Truck_Bus         Car          8  192 128 192
28 Tunnel            Building     1   64   0  64
29 VegetationMisc    Tree         5  192 192   0
30 Void              void       255    0   0   0
31 Wall              Building     1   64 192   0
"""

# What GTA5 has besides Cityscapes' ids: the plate is drawn, in the car's colour. Its grey of static things is that of
# the older Cityscapes palette.
_GTA5 = """
 4 static               void         255   20  20  20
34 license~plate        void         255    0   0 142
"""

# SYNTHIA-RAND-CITYSCAPES, the classes named as Cityscapes names them (its pedestrian is the person), with Cityscapes'
# train ids. Parking slots, terrain, trucks and trains do not occur. Walls and lane markings share a colour.
_SYNTHIA = """
 0 void          void         255    0   0   0
 1 sky           sky           10   70 130 180
 2 building      construction   2   70  70  70
 3 road          flat           0  128  64 128
 4 sidewalk      flat           1  244  35 232
 5 fence         construction   4   64  64 128
 6 vegetation    nature         8  107 142  35
 7 pole          object         5  153 153 153
 8 car           vehicle       13    0   0 142
 9 traffic~sign  object         7  220 220   0
10 person        human         11  220  20  60
11 bicycle       vehicle       18  119  11  32
12 motorcycle    vehicle       17    0   0 230
13 parking~slot  void         255  250 170 160
14 road~work     void         255  128  64  64
15 traffic~light object         6  250 170  30
16 terrain       nature         9  152 251 152
17 rider         human         12  255   0   0
18 truck         vehicle       14    0   0  70
19 bus           vehicle       15    0  60 100
20 train         vehicle       16    0  80 100
21 wall          construction   3  102 102 156
22 lane~marking  void         255  102 102 156
"""

# The SYNTHIA video sequences number other classes: 12 is the lane marking, not the motorcycle, and 11 is the cyclist
# with the bicycle, taken for Cityscapes' rider. 13 and 14 are reserved.
_SYNTHIA_SEQS = """
 0 void          void         255    0   0   0
 1 sky           sky            8  128 128 128
 2 building      construction   2  128   0   0
 3 road          flat           0  128  64 128
 4 sidewalk      flat           1    0   0 192
 5 fence         construction   3   64  64 128
 6 vegetation    nature         7  128 128   0
 7 pole          object         4  192 192 128
 8 car           vehicle       11   64   0 128
 9 traffic~sign  object         6  192 128 128
10 person        human          9   64  64   0
11 rider         human         10    0 128 192
12 lane~marking  void         255    0 175   0
15 traffic~light object         5    0 128 128
"""

ROWS = {
    "cityscapes": _CITYSCAPES,
    "camvid11": _CAMVID11,
    "camvid32": _CAMVID32,
    "gta5": _GTA5,
    "synthia": _SYNTHIA,
    "synthia-seqs": _SYNTHIA_SEQS,
}
