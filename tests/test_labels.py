"""Class tables: what an id, a colour and a train id mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from citygan.data.labels import (
    CAMVID11,
    CAMVID32,
    CITYSCAPES,
    CITYSCAPES19,
    GTA5,
    SYNTHIA,
    SYNTHIA16,
    SYNTHIA_CLASSES,
    SYNTHIA_SEQS,
    TABLES,
    VOID,
    ClassTable,
    plainest,
    table_named,
)
from citygan.errors import UsageError


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_sound(name: str) -> None:
    t = TABLES[name]
    assert len(set(t.ids)) == len(t.ids) == len({c.name for c in t.classes})
    assert {c.train_id for c in t.classes} - {VOID} == set(range(t.num_train))
    assert len(t.train_names) == t.num_train == len(set(t.train_names))
    assert ClassTable.from_dict(t.to_dict()) == t
    for c in t.classes:
        assert tuple(t.palette[c.id]) == c.colour
        assert t.train_ids[c.id] == c.train_id
        shared = next(other for other in t.classes if other.id == t.colour_ids[c.colour])
        assert shared.colour == c.colour and (shared.id == c.id or c.train_id == VOID)


def test_cityscapes_is_the_official_table() -> None:
    assert CITYSCAPES.ids == tuple(range(34)) and CITYSCAPES.num_train == 19
    trained = [c.id for c in CITYSCAPES.classes if c.train_id != VOID]
    assert trained == [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert CITYSCAPES.classes[26].colour == (0, 0, 142) and CITYSCAPES.classes[26].name == "car"
    assert CITYSCAPES.colour_ids[(153, 153, 153)] == 17  # pole, not polegroup
    assert CITYSCAPES.colour_ids[(0, 0, 0)] == 0
    assert CITYSCAPES.train_names[6] == "traffic light"
    assert CITYSCAPES19.train_names == CITYSCAPES.train_names
    assert CITYSCAPES19.ids == (*range(19), 255)
    np.testing.assert_array_equal(CITYSCAPES19.palette[13], (0, 0, 142))


def test_camvid_has_eleven_classes_both_ways() -> None:
    assert CAMVID11.ids == tuple(range(12)) and CAMVID11.train_ids[11] == VOID and CAMVID11.num_train == 11
    assert len(CAMVID32.classes) == 32 and len(CAMVID32.colour_ids) == 32
    assert [c.name for c in CAMVID32.classes] == sorted((c.name for c in CAMVID32.classes), key=str.lower)
    assert CAMVID32.train_names == CAMVID11.train_names
    assert [c.name for c in CAMVID32.classes if c.train_id == VOID] == ["Void"]


# SYNTHIA's ids as the public readers of domain adaptation map them to Cityscapes' train ids; all else is void
SYNTHIA_TRAIN_IDS = {
    3: 0,
    4: 1,
    2: 2,
    21: 3,
    5: 4,
    7: 5,
    15: 6,
    9: 7,
    6: 8,
    16: 9,
    1: 10,
    10: 11,
    17: 12,
    8: 13,
    18: 14,
    19: 15,
    20: 16,
    12: 17,
    11: 18,
}


def test_synthia_maps_to_the_classes_of_cityscapes_id_by_id() -> None:
    assert SYNTHIA.ids == tuple(range(23))
    for number in range(256):
        assert SYNTHIA.train_ids[number] == SYNTHIA_TRAIN_IDS.get(number, VOID), number
    assert SYNTHIA.train_names == CITYSCAPES.train_names
    assert SYNTHIA.colour_ids[(102, 102, 156)] == 21  # walls and lane markings are painted alike
    assert SYNTHIA.classes[5].colour == (64, 64, 128) and SYNTHIA.classes[14].colour == (128, 64, 64)


def test_synthia_is_scored_on_sixteen_classes_or_thirteen_of_them() -> None:
    sixteen, thirteen = SYNTHIA_CLASSES[16], SYNTHIA_CLASSES[13]
    assert len(sixteen) == 16 and set(CITYSCAPES.train_names) - set(sixteen) == {"terrain", "truck", "train"}
    assert len(thirteen) == 13 and set(sixteen) - set(thirteen) == {"wall", "fence", "pole"}
    assert SYNTHIA16.ids == SYNTHIA.ids and SYNTHIA16.train_names == sixteen
    of_19 = [CITYSCAPES.train_names.index(name) for name in sixteen]
    assert of_19 == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18]
    for number in range(256):
        full, dense = int(SYNTHIA.train_ids[number]), int(SYNTHIA16.train_ids[number])
        assert dense == (of_19.index(full) if full in of_19 else VOID), number


def test_the_video_sequences_of_synthia_number_other_classes() -> None:
    assert SYNTHIA_SEQS.ids == (*range(13), 15)
    names = {c.id: c.name for c in SYNTHIA_SEQS.classes}
    assert names[12] == "lane marking" and SYNTHIA.classes[12].name == "motorcycle"
    trained = "road sidewalk building fence pole traffic~light traffic~sign vegetation sky person rider car"
    assert SYNTHIA_SEQS.train_names == tuple(name.replace("~", " ") for name in trained.split())
    expected = {3: 0, 4: 1, 2: 2, 5: 3, 7: 4, 15: 5, 9: 6, 6: 7, 1: 8, 10: 9, 11: 10, 8: 11}
    for number in range(256):
        assert SYNTHIA_SEQS.train_ids[number] == expected.get(number, VOID), number
    assert set(SYNTHIA_SEQS.train_names) < set(CITYSCAPES.train_names)


def test_gta5_has_the_ids_of_cityscapes_and_nothing_but_void_above() -> None:
    assert GTA5.ids == tuple(range(35)) and GTA5.void_from == 34
    np.testing.assert_array_equal(GTA5.train_ids[:34], CITYSCAPES.train_ids[:34])
    assert (GTA5.train_ids[34:] == VOID).all() and GTA5.train_names == CITYSCAPES.train_names
    assert GTA5.colour_ids[(0, 0, 142)] == 26  # a painted licence plate is read as the car it belongs to
    assert GTA5.extends(CITYSCAPES) and not CITYSCAPES.extends(GTA5) and not SYNTHIA.extends(CITYSCAPES)
    assert plainest([CITYSCAPES, GTA5, SYNTHIA, SYNTHIA16]) == [CITYSCAPES, SYNTHIA]
    assert plainest([GTA5]) == [GTA5]
    stored = GTA5.to_dict()
    with pytest.raises(UsageError, match="void_from must be a whole number from 0 to 255, got 300"):
        ClassTable.from_dict(stored | {"void_from": 300})


def test_a_palette_agrees_where_its_colour_means_what_its_index_does() -> None:
    assert GTA5.agrees(17, (153, 153, 153)) and GTA5.agrees(18, (153, 153, 153))  # pole and polegroup
    assert GTA5.agrees(4, (0, 0, 0))  # void either way
    assert not GTA5.agrees(17, (128, 64, 128)) and not GTA5.agrees(18, (128, 64, 128))
    assert GTA5.agrees(40, (0, 0, 0)) and not GTA5.agrees(40, (128, 64, 128)) and not CITYSCAPES.agrees(40, (0, 0, 0))


def test_likely_cause_names_the_other_table() -> None:
    assert "cityscapes19" in CITYSCAPES.likely_cause([0, 1, 13, 255])
    assert "--classes cityscapes" in CITYSCAPES19.likely_cause([7, 11, 33])
    assert "interpolated" in CAMVID11.likely_cause(range(60))
    assert "mask" in ClassTable("x", CAMVID11.classes).likely_cause([0, 255])


def test_a_users_table(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "- {id: 0, name: wall, colour: [1, 2, 3], train_id: 0}\n"
        "- {id: 7, name: 'no', colour: '#ff0010', train_id: 255, category: void}\n"
    )
    t = table_named(str(path))
    assert t.name == "mine" and t.num_train == 1 and t.palette[7].tolist() == [255, 0, 16] and t.classes[1].name == "no"


def test_a_users_table_is_named_with_its_file_where_a_value_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("- {id: 0, name: wall, colour: [1, 2, 3]}\n- {id: 1, name: sky, colour: [4, 5, 6]}\n")
    mine = table_named(str(path))
    assert f"add the id 7 to {path} ({{id, name, colour, train_id}}" in mine.likely_cause([0, 1, 7])
    assert f"add the ids 7, 9 to {path}" in mine.likely_cause([0, 7, 9])
    assert f"add the class to {path}" in mine.likely_cause_of_colours([(128, 64, 128)])  # a colour of other tables too
    assert "mask" in mine.likely_cause([0, 255]) and "instance map" in mine.likely_cause([0, 300])
    assert "interpolated" in mine.likely_cause(range(60))
    stored = ClassTable.from_dict(mine.to_dict())  # as a prepared set or a checkpoint gives it back
    assert stored == mine and stored.likely_cause([0, 7]) == "The table has the ids 0, 1; --classes names another"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {id: 0, name: a, colour: [1, 2, 3]}\n- {id: 0, name: b, colour: [1, 2, 4], train_id: 1}", ["id 0 stands"]),
        ("- {id: 256, name: a, colour: [1, 2, 3]}", ["class 1", "0 to 255", "256"]),
        (
            "- {id: 0, name: a, colour: [1, 2]}\n- {id: x, name: 7, colour: '#12345g'}",
            ["class 1", "class 2", "name", "id"],
        ),
        ("- {id: 3, name: a, colour: [1, 2, 3]}", ["gaps", "0, 1, 2 missing"]),
        ("- {id: 0, name: a, couleur: [1, 2, 3]}", ["couleur"]),
        ("- just words", ["expected"]),
        ("[]", ["no classes"]),
        ("a: 1", ["list"]),
    ],
)
def test_a_wrong_table_is_refused_with_all_reasons(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        table_named(str(path))
    for word in words:
        assert word in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_an_unknown_table_lists_the_names() -> None:
    with pytest.raises(UsageError, match="camvid11, camvid32"):
        table_named("kitti")
