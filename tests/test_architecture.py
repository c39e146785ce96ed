"""The house plan, held by the syntax trees: who may import whom, and what nobody may do."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.street import NARROW, SOURCE, Street, environment

PACKAGE = SOURCE / "citygan"

# A room and the rooms it may import, which all stand above it. A room is a module or a package; of two that fit, the
# longer name counts.
ROOMS: dict[str, str] = {
    "errors": "",
    "batch": "",
    "files": "errors",
    "yamlfile": "errors files",
    "progress": "errors",
    "devices": "errors",
    "memory": "errors devices",
    "ranges": "",
    "companionsettings": "ranges",
    "settings": "ranges companionsettings",
    "config": "errors yamlfile ranges companionsettings settings",
    "presets": "errors",
    "data.classrows": "",
    "data.labels": "errors yamlfile data.classrows",
    "videofile": "errors files",
    "pictures": "errors files data.labels",
    "ops": "errors",
    "ops.flow": "errors",  # arrays alone, for `prepare`
    "data": "errors files yamlfile progress batch pictures data.labels ops",
    "models": "errors ops",
    "losses": "ops models",
    "recipes": "errors config batch models losses ops data.labels",
    # of the recipes the loop knows the base alone
    "train": "errors files batch recipes.base",
    "weightfiles": "errors files",
    "weights": "errors files models train",
    # networks that a metric looks with are found, read and put on a device as any other
    "metrics": "errors devices pictures ops models data.labels train weightfiles weights",
    "sheets": "pictures data.labels",
    "pairing": "errors data",
    "baseline": "data metrics pictures",
    "figurefile": "errors files data metrics",
    "featurefile": "errors files metrics",
    "plotfiles": "errors files pictures metrics sheets",
    "runnames": "errors files",
    "runs": "errors files yamlfile config train runnames",
    "sides": "errors batch config data data.labels recipes",
    "feeding": "errors config data runs",
    "companions": "errors config data models recipes",
    "guides": "errors data models recipes sides",
    "building": "errors config devices data feeding companions models recipes train runs weightfiles sides",
    "starting": "errors files config models train runnames runs weightfiles weights",
    "importing": "errors files config data.labels recipes train runs weights starting",
    "onnxfile": "errors models",
    "exporting": "errors files progress train runs weights onnxfile",
    "fetching": "errors files progress weightfiles",
    "resuming": "errors progress config data train runs building",
    "tiling": "",
    "infer": "errors progress batch devices data data.labels models recipes train runs sides guides tiling",
    "segmenting": "errors devices pictures data data.labels models recipes train runs infer",
    "jobs": "errors pictures data infer segmenting",
    "inputs": "errors pictures data data.labels train sheets infer segmenting jobs",
    "translation": "errors files pictures data data.labels sheets infer segmenting jobs inputs",
    "footage": "errors pictures data data.labels infer segmenting jobs inputs translation videofile",
    "filming": "errors files pictures metrics infer segmenting jobs translation videofile footage",
    "frames": "errors data metrics",
    "trios": "errors pictures data metrics sheets baseline infer frames",
    "foldertrios": "errors pictures data metrics sheets baseline frames",
    "assembling": "errors data metrics baseline figurefile plotfiles weightfiles trios foldertrios train runs",
    "segmented": "errors pictures data metrics baseline trios runs segmenting assembling",
    "evaluation": "errors progress pictures data metrics sheets baseline featurefile trios foldertrios pairing train "
    "runs infer segmenting assembling segmented translation",
    "report": "errors files yamlfile figurefile train runs",
    "validating": "config data metrics models recipes sheets baseline train runs building guides infer segmenting",
    "training": "errors files yamlfile progress pictures config data models recipes train metrics sheets runs "
    "feeding companions starting building resuming report validating",
    "study": "errors files yamlfile progress devices settings config presets pictures data data.labels train metrics "
    "sheets baseline figurefile runnames runs starting building weightfiles infer segmenting segmented translation "
    "assembling evaluation report training memory",
    "": "infer evaluation",  # `citygan` itself
    "cli": "errors files yamlfile progress devices memory config presets pictures data data.labels train weightfiles "
    "metrics figurefile runnames runs starting building resuming importing exporting fetching infer tiling segmenting "
    "segmented jobs inputs translation videofile footage filming evaluation report training study",
    "__main__": "cli",
}
TORCH_FREE = (
    "errors",
    "files",
    "yamlfile",
    "progress",
    "ranges",
    "companionsettings",
    "settings",
    "config",
    "presets",
    "videofile",
    "pictures",
    "ops.flow",
    "data",
    "runnames",
    "cli",
    "",
)
WITH_TORCH = ("data.batches", "data.augment", "data.colours")  # what brings a prepared set to the device

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(file: Path) -> str:
    """The module's name below `citygan`."""
    return ".".join(part for part in file.relative_to(PACKAGE).with_suffix("").parts if part != "__init__")


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def room_of(module: str) -> str:
    """The room that a module stands in."""
    while module and module not in ROOMS:
        module = module.rpartition(".")[0]
    return module


def imports_of(tree: ast.AST, package: str = "") -> Iterator[tuple[str, int]]:
    """The modules of ours that are imported anywhere but for types alone: (name below citygan, line).

    Args:
        package: Where a relative import starts.
    """
    known = {name_of(file) for file in MODULES}
    for node in walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name[8:], node.lineno) for alias in node.names if alias.name.startswith("citygan."))
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parts = f"citygan.{package}".strip(".").split(".")
                module = ".".join([*parts[: len(parts) - node.level + 1], module]).strip(".")
            if module == "citygan" or module.startswith("citygan."):
                below = module[8:]
                inner = [f"{below}.{alias.name}".lstrip(".") for alias in node.names]
                modules = [name for name in inner if name in known]
                if below or not modules:
                    yield below, node.lineno
                yield from ((name, node.lineno) for name in modules)


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, but for what stands under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from walk(child)


def test_the_table_points_upwards_only() -> None:
    above: set[str] = set()
    for room, allowed in ROOMS.items():
        for other in allowed.split():
            assert room_of(other) in above, f"{room} may not import {other}, which does not stand above it"
        above.add(room)


@pytest.mark.parametrize("file", MODULES, ids=[name_of(file) for file in MODULES])
def test_imports_follow_the_table(file: Path) -> None:
    module = name_of(file)
    room = room_of(module)
    assert room or not module, f"{module} stands in no room: give it a row in ROOMS"
    allowed = ROOMS[room].split()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for other, line in imports_of(tree_of(file), package):
        if room_of(other) == room or (other == "" and module):  # `from citygan import __version__` binds nobody
            continue
        fits = any(other == name or other.startswith(f"{name}.") for name in allowed)
        assert fits, f"{file.name}:{line}: {room or 'citygan'} imports {other}"


def test_a_module_below_is_not_imported_above() -> None:
    """The check itself: it sees imports at the top, in functions and of packages, and none for types."""
    text = "import citygan.cli\nfrom citygan import files\ndef f():\n    from citygan.data import store\n"
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from citygan.infer import load\n"
    assert [name for name, _ in imports_of(ast.parse(text + types))] == ["cli", "files", "data", "data.store"]
    assert list(imports_of(ast.parse("from .store import x\nfrom ..files import y"), "data")) == [
        ("data.store", 1),
        ("files", 2),
    ]
    assert room_of("data.layouts.tree") == "data" and room_of("data.labels") == "data.labels"


# what costs time at the start


CHECK = """
import sys
def loaded(*names):
    return [name for name in names if name in sys.modules]
import citygan, citygan.cli
assert citygan.__version__
heavy = "torch torchvision cv2 numpy PIL yaml skimage matplotlib tqdm safetensors".split()
assert not loaded(*heavy), loaded(*heavy)
for line in sys.argv[1].split():
    __import__("citygan." + line)
    assert not loaded("torch"), line
"""


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    free = [
        module
        for module in map(name_of, MODULES)
        if room_of(module) in TORCH_FREE and module not in (*WITH_TORCH, "__main__", "")
    ]
    assert "data.prepare" in free and "pictures" in free
    done = subprocess.run(
        [sys.executable, "-c", CHECK, " ".join(free)], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


# what nobody may do


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an expression; '' parts where it is something else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


BANNED_CALLS = (
    *("eval", "exec", "compile", "__import__", "importlib.import_module", "os.system", "os.popen"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open", "dill.load"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "joblib.load", "torch.save"),
    *("cv2.imread", "cv2.imwrite", "cv2.VideoCapture", "cv2.VideoWriter"),
    *("np.load", "numpy.load", "np.save", "numpy.save", "np.savez"),
    *("torch.hub.load", "torch.hub.load_state_dict_from_url", "torch.jit.load"),
)
BANNED_METHODS = ("extractall", "tofile")
BANNED_IMPORTS = (
    *("torchvision.io", "tempfile", "urllib", "requests", "http", "ftplib", "socket", "socketserver", "shelve", "dill"),
    *("marshal", "tarfile", "xmlrpc", "imp"),
)
BANNED_KEYWORDS = {"shell": True, "allow_pickle": True, "weights_only": False}


# what is banned everywhere else
MAY_CALL: dict[str, set[str]] = {
    "videofile.coders": {"cv2.VideoWriter"},
    "videofile.reading": {"cv2.VideoCapture"},
    "fetching": {"import of urllib.request", "import of http.client"},  # the only place that opens a connection
    "exporting": {"torch.save"},  # into memory, for the public implementations, which load nothing else
}


def offences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what) of whatever is banned everywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{name}" for name in names]
            for name in names:
                if any(name == banned or name.startswith(f"{banned}.") for banned in BANNED_IMPORTS):
                    yield node.lineno, f"import of {name}"
                if name in BANNED_CALLS:
                    yield node.lineno, f"import of {name}"
        elif isinstance(node, ast.Attribute) and dotted(node) in (*BANNED_CALLS, "torchvision.io"):
            yield node.lineno, dotted(node)
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in BANNED_CALLS and "." not in name:
                yield node.lineno, name
            if isinstance(node.func, ast.Attribute) and node.func.attr in BANNED_METHODS:
                yield node.lineno, node.func.attr
            given = {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}
            for key, value in BANNED_KEYWORDS.items():
                if key in given and given[key] is value:
                    yield node.lineno, f"{key}={value}"
            if name == "torch.load" and given.get("weights_only") is not True:
                yield node.lineno, "torch.load without weights_only=True"
        elif isinstance(node, ast.Assert):
            if any(isinstance(inner, ast.NamedExpr) for inner in ast.walk(node.test)):
                yield node.lineno, "an assertion that assigns: `python -O` leaves it out"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "a bare except"


@pytest.mark.parametrize("file", MODULES, ids=[name_of(file) for file in MODULES])
def test_nothing_banned_is_called(file: Path) -> None:
    allowed = MAY_CALL.get(name_of(file), set())
    assert [(line, what) for line, what in offences(tree_of(file)) if what not in allowed] == []


@pytest.mark.parametrize(
    "line",
    [
        "eval('1')", "exec('1')", "pickle.loads(x)", "from pickle import loads", "yaml.load(x)", "f(shell=True)",
        "z.extractall()", "np.load(f)", "f(allow_pickle=True)", "cv2.imread(f)", "cv2.imwrite(f, x)", "torch.load(f)",
        "import torchvision.io", "from torchvision.io import decode_png", "torch.load(f, weights_only=False)",
        "read = cv2.imread", "import socket", "import urllib.request", "from tempfile import mkdtemp",
        "assert (x := f())", "try:\n    f()\nexcept:\n    pass",
    ],
)  # fmt: skip
def test_what_is_banned_is_found(line: str) -> None:
    assert list(offences(ast.parse(line)))


# who may write

WRITING_METHODS = ("write_text", "write_bytes", "unlink", "rename", "touch", "symlink_to", "hardlink_to", "chmod")
WRITING_CALLS = (
    *(
        "os.replace",
        "os.rename",
        "os.unlink",
        "os.remove",
        "os.rmdir",
        "os.truncate",
        "os.symlink",
        "os.link",
        "os.chmod",
    ),
    *("shutil.rmtree", "shutil.copy", "shutil.copyfile", "shutil.copytree", "shutil.move", "io.FileIO", "np.memmap"),
    "SummaryWriter",
)
# Beside `files`, which writes, and `data.writer`, which puts a set together in a hidden folder: what is written within
# the temporary files and folders that `files` hands out, appended to the log, or removed.
MAY_WRITE: dict[str, set[str]] = {
    "data.store": {"np.memmap"},  # to read
    "data.city": {"write_bytes"},
    "data.prepare": {"unlink"},
    "figurefile": {"open"},
    "fetching": {"open"},
    "train.checkpoint": {"write_bytes", "unlink", "shutil.rmtree", "os.replace"},
    "train.logs": {"open"},
    "training": {"SummaryWriter"},
    "cli": {"open"},  # /dev/null in place of a closed stream
}


def writes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, call) of whatever can change a disk."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in WRITING_CALLS:
            yield node.lineno, name
        elif name == "open" or name.endswith((".open", ".fdopen")):
            place = 1 if name in ("open", "io.open", "os.fdopen") else 0
            modes = [k.value for k in node.keywords if k.arg == "mode"] + node.args[place : place + 1]
            mode = modes[0].value if modes and isinstance(modes[0], ast.Constant) else "r"
            if isinstance(mode, str) and set(mode) & set("wax+"):
                yield node.lineno, "open"
        elif (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in WRITING_METHODS
            and name != f"files.{node.func.attr}"
        ):
            yield node.lineno, node.func.attr


@pytest.mark.parametrize("file", MODULES, ids=[name_of(file) for file in MODULES])
def test_only_one_place_writes(file: Path) -> None:
    module = name_of(file)
    if module in ("files", "data.writer"):
        return
    found = [(line, what) for line, what in writes(tree_of(file)) if what not in MAY_WRITE.get(module, set())]
    assert found == [], f"{file.name}: goes round citygan.files"


@pytest.mark.parametrize(
    "line",
    [
        "open(f, 'w')", "open(f, mode='ab')", "path.open('r+')", "path.write_text('x')", "(a / b).write_bytes(x)",
        "os.replace(a, b)", "path.unlink()", "shutil.rmtree(a)", "np.memmap(f, mode='w+')",
    ],
)  # fmt: skip
def test_what_writes_is_found(line: str) -> None:
    assert len(list(writes(ast.parse(line)))) == 1
    assert not list(writes(ast.parse("open(f)\nopen(f, 'rb')\npath.open()\nfiles.write_text(f, x)\nwrite_text(f, x)")))


def test_files_stay_small() -> None:
    long = {name_of(file): count for file in MODULES if (count := len(file.read_text().splitlines())) > 450}
    assert not long


# connections


def test_no_command_opens_a_connection(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> NoReturn:
        raise AssertionError(f"a connection: {arguments}")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    street.done("prepare", "demo", "--limit", "1", "--size", "64")
    street.done("train", *NARROW, "--steps", "1")
    street.done("translate", "labels", "out")
    street.done("evaluate", "--metric", "ssim")
    street.done("models")
