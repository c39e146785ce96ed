"""Class tables: what an id, a colour and a train id mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from citygan.data.labels import CAMVID11, CAMVID32, CITYSCAPES, CITYSCAPES19, TABLES, VOID, ClassTable, table_named
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
