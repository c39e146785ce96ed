"""`citygan weights`: a public file becomes a run that works, a run becomes files for others; what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from citygan import fetching, load
from citygan.data.labels import CITYSCAPES
from citygan.errors import DamagedError
from citygan.models import DISCRIMINATORS, GENERATORS
from citygan.settings import WeightsSettings
from citygan.train.checkpoint import read_part, read_state
from citygan.weightfiles import OF_METRICS, WEIGHTS, WeightFile
from citygan.weights import FORMATS, import_state_dict, read_state_dict
from citygan.weights.layouts import export_state_dict
from citygan.yamlfile import read_yaml
from tests.street import Street

Tensors = dict[str, torch.Tensor]
ROW = {str(row): row for row in FORMATS}
UNET, PATCHGAN = ROW["pytorch-CycleGAN-and-pix2pix U-Net"], ROW["pytorch-CycleGAN-and-pix2pix PatchGAN"]
SMALL = {"in_channels": 3, "width": 4, "depth": 5}
NET = ("--set", "generator.width=4", "--set", "generator.depth=5", "--set", "discriminator.width=4")


def public(seed: int = 0, **arguments: object) -> Tensors:
    """A U-Net as the public code saves it."""
    torch.manual_seed(seed)
    there = UNET.saved({**SMALL, **arguments})
    return export_state_dict(UNET, there, GENERATORS["unet"](**there).state_dict())


def judge(in_channels: int = 6) -> Tensors:
    """A PatchGAN as the public code saves it."""
    there = {"in_channels": in_channels, "width": 4, "receptive_field": 16, "bias": "ends"}
    return export_state_dict(PATCHGAN, there, DISCRIMINATORS["patchgan"](**there).state_dict())


def hd(what: str, **arguments: Any) -> Tensors:
    """A network of pix2pixHD as its code saves it, with input of three channels."""
    torch.manual_seed(0)
    row = ROW[f"pix2pixHD {what}"]
    there = {"width": 4, "norm": "instance", "bias": "all", **arguments}
    table = GENERATORS if row.role == "generator" else DISCRIMINATORS
    return export_state_dict(row, there, table[row.network](**there).state_dict())


@pytest.fixture
def files(street: Street) -> Street:
    """The street with `G.pth`, `D.pth` and an optimizer's `O.pth`."""
    torch.save(public(), "G.pth")
    torch.save(judge(), "D.pth")
    torch.save(torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))]).state_dict(), "O.pth")
    return street


# import


def test_an_imported_run_translates_is_scored_and_trained_on(files: Street) -> None:
    done = files.done("weights", "import", "G.pth", "--classes", "cityscapes", "--discriminator", "D.pth")
    assert done.out == "runs/imported-1\n"
    assert "pytorch-CycleGAN-and-pix2pix U-Net" in done.err and "citygan translate labels/ out/" in done.err
    assert len(files.done("translate", "labels", "out").paths) == len(os.listdir("labels"))  # it is the last run
    files.done("evaluate", "--run", "imported-1", "--data", "tiny", "--metric", "ssim")
    city = load("imported-1", mode="deterministic")
    assert city.classes == CITYSCAPES and city.step == 0
    network = import_state_dict(public()).build().eval()
    ids = np.full((32, 64), 7, np.uint8)
    x = torch.from_numpy(CITYSCAPES.palette[ids].astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = ((network(x)[0] + 1) * 127.5).round().permute(1, 2, 0).numpy()
    assert np.abs(city.translate(ids).astype(int) - expected).max() <= 1
    field = ("--set", "discriminator.receptive_field=16")
    files.done("train", "--data", "tiny", "--init", "imported-1", *NET, *field, "--steps", "1", "--name", "b")
    files.done("train", "--config", "runs/imported-1/config.yaml", "--data", "tiny", "--steps", "1", "--name", "c")
    assert read_state(Path("runs/c/checkpoints/00000001"))["networks"]["discriminator"]["arguments"]["width"] == 4


def test_pictures_are_what_a_generator_takes_unless_it_is_said(files: Street) -> None:
    files.done("weights", "import", "G.pth", "--name", "p", "--mode", "deterministic", "--dropout", "0")
    city = load("p")
    assert (city.input_kind, city.mode) == ("source", "deterministic")
    assert city.translate(np.zeros((32, 32, 3), np.uint8)).shape == (32, 32, 3)


def test_both_networks_of_pix2pixhd_are_trained_on_and_saved_as_they_came(files: Street) -> None:
    of_all = {"in_channels": 3, "blocks": 2, "halvings": 2}
    for name, generator in (("enhancer", hd("local enhancer", **of_all)),
                            ("global", hd("global generator", **of_all, dropout=0.0))):  # fmt: skip
        torch.save(generator, "G.pth")
        torch.save(hd("multi-scale discriminator", in_channels=6, scales=2), "D.pth")
        said = ("--classes", "cityscapes", "--discriminator", "D.pth", "--name", name)
        done = files.done("weights", "import", "G.pth", *said)
        assert "halvings 2" in done.err and "norm instance" in done.err and "assumed" not in done.err
        assert load(name).translate(np.full((32, 32), 7, np.uint8)).shape == (32, 32, 3)
        for role, file in (("generator", "G"), ("discriminator", "D")):
            files.done("weights", "export", name, f"{name}-{file}.pth", "--network", role, "--format", "pix2pixHD")
            given, back = (torch.load(f, weights_only=True) for f in (f"{file}.pth", f"{name}-{file}.pth"))
            assert given.keys() == back.keys() and all(torch.equal(t, back[key]) for key, t in given.items())
        onward = ("--config", f"runs/{name}/config.yaml", "--steps", "1", "--name", f"{name}-on")
        files.done("train", "--data", "tiny", "--init", name, *onward)
        networks = read_state(Path(f"runs/{name}-on/checkpoints/00000001"))["networks"]
        assert networks["generator"]["arguments"]["halvings"] == 2
        assert networks["discriminator"]["name"] == "multiscale"
        assert networks["discriminator"]["arguments"]["scales"] == 2


def test_the_rate_of_dropout_that_a_file_does_not_tell_is_told(files: Street) -> None:
    def said(*how: str) -> str:
        return files.done("weights", "import", *how).err

    assert "norm batch, dropout 0.5 assumed (--dropout)\n" in said("G.pth")
    given = said("G.pth", "--dropout", "0.2", "--name", "given")
    assert "dropout 0.2\n" in given and "assumed" not in given
    kept = read_state(Path("runs/given/checkpoints/00000000"))["networks"]["generator"]["arguments"]["dropout"]
    assert kept == 0.2
    files.done("weights", "export", "given", "given.safetensors")
    told = said("given.safetensors")
    assert "dropout 0.2\n" in told and "assumed" not in told


def test_dropout_goes_to_networks_that_have_it(files: Street) -> None:
    torch.save(hd("local enhancer", in_channels=3, blocks=1, halvings=2), "E.pth")
    by = ("weights", "import", "E.pth", "--dropout")
    files.refused(2, "pix2pixHD local enhancer, which has no dropout", "Leave it out", by=(*by, "0.3"))
    files.done(*by, "0", "--name", "e")
    assert load("e").translate(np.full((32, 32, 3), 7, np.uint8)).shape == (32, 32, 3)


@pytest.mark.parametrize("mode", ["paper", "deterministic"])
def test_one_hot_and_edges(files: Street, mode: str) -> None:
    channels = len(CITYSCAPES.classes) + 1
    torch.save(public(in_channels=channels), "H.pth")
    said = ("--classes", "cityscapes", "--encoding", "onehot", "--edges", "--mode", mode)
    files.done("weights", "import", "H.pth", *said, "--name", "h")
    assert load("h").needs_instances
    files.refused(2, f"{channels} channels", "--encoding onehot", by=("weights", "import", "H.pth"))
    files.refused(2, "cityscapes gives 3", by=("weights", "import", "H.pth", "--classes", "cityscapes"))


def test_what_cannot_be_imported_is_told(files: Street) -> None:
    torch.save(public() | {"extra.weight": torch.zeros(1)}, "unknown.pth")
    torch.save({key: t for key, t in public().items() if key != "model.model.3.bias"}, "missing.pth")
    torch.save({key: torch.full_like(t, torch.nan) if t.dim() == 4 else t for key, t in public().items()}, "nan.pth")
    torch.save({"state_dict": public(), "epoch": 3}, "inside.pth")
    torch.save({"layer5.conv2d_list.0.weight": torch.zeros(19, 8, 3, 3)}, "adapted.pth")
    torch.save({"scale0_layer0.0.weight": torch.zeros(4, 6, 4, 4)}, "hd.pth")
    torch.save(judge(5), "five.pth")
    Path("torn.pth").write_bytes(Path("G.pth").read_bytes()[:-200])
    for code, words, arguments in (
        (6, "unknown: extra.weight", ["unknown.pth"]),
        (6, "missing: model.model.3.bias", ["missing.pth"]),
        (6, "not finite", ["nan.pth"]),
        (6, "entry state_dict holds tensors", ["inside.pth"]),
        (6, "AdaptSegNet's or ADVENT's DeepLabV2, recognised, but not supported", ["adapted.pth"]),
        (6, "looks like pix2pixHD multi-scale discriminator, but does not fit", ["hd.pth"]),
        (6, "an optimizer's state", ["O.pth"]),
        (6, "torn.pth", ["torn.pth"]),
        (6, "no such file", ["none.pth"]),
        (6, "sees 5 channels", ["G.pth", "--discriminator", "five.pth"]),
        (2, "a generator", ["G.pth", "--discriminator", "G.pth"]),
        (2, "--discriminator D.pth", ["D.pth"]),
        (2, "exists already, runs/a. Another --name", ["G.pth", "--name", "a"]),
        (2, "no name for a run", ["G.pth", "--name", "../x"]),
        (2, "camvid11", ["G.pth", "--classes", "camvid"]),
        (2, "--classes NAME", ["G.pth", "--edges"]),
        (2, "below 1", ["G.pth", "--dropout", "1"]),
    ):
        files.refused(code, words, by=("weights", "import", *arguments))


def test_a_run_keeps_which_weights_it_started_from(files: Street) -> None:
    def started(*how: str) -> Any:
        name = f"w{len(list(Path('runs').iterdir()))}"
        files.done("train", "--data", "tiny", *NET, "--steps", "1", "--name", name, *how)
        return read_yaml(Path("runs", name, "about.yaml"))[0]["weights"]

    assert started() == {}
    file = Path("G.pth")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert started("--init", "G.pth") == {"generator": {"name": None, "file": str(file.absolute()), "sha256": digest}}
    files.done("weights", "import", "G.pth", "--classes", "cityscapes", "--name", "theirs")
    part = Path("runs/theirs/checkpoints/00000000/generator.safetensors")
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    assert started("--init", "theirs")["generator"] == {"name": None, "file": str(part.absolute()), "sha256": digest}


def test_an_imported_run_has_no_training_to_go_on_with(files: Street) -> None:
    files.done("weights", "import", "G.pth", "--classes", "cityscapes")
    for said in ("imported-1", "last"):
        files.refused(2, "no training to go on with, runs/imported-1", "citygan train --init imported-1 starts",
                      by=("train", "--resume", said, "--steps", "5"))  # fmt: skip
    files.done("train", "--data", "tiny", "--init", "imported-1", *NET, "--steps", "1", "--name", "b")
    files.done("train", "--resume", "b", "--steps", "2")


def test_train_starts_from_a_file(files: Street) -> None:
    files.done("train", "--data", "tiny", "--init", "G.pth", *NET, "--steps", "1", "--name", "b")
    common = ("train", "--data", "tiny", "--steps", "1")
    files.refused(
        6, "width 4", "--set generator.depth=5", by=(*common, "--init", "G.pth", "--set", "generator.width=8")
    )
    files.refused(6, "an optimizer's state", by=(*common, "--init", "O.pth", *NET))
    files.done("weights", "import", "G.pth", "--name", "narrow")
    wide = ("--set", "generator.width=8")
    files.refused(6, "Try --set generator.name=unet --set generator.width=4", by=(*common, "--init", "narrow", *wide))
    alone = ("--set", "losses.lambda_gan=0")
    files.refused(2, "a discriminator", by=(*common, "--init", "D.pth", *NET, *alone))
    files.refused(2, "no run 'none.pth'", by=(*common, "--init", "none.pth"))


# export


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_what_is_exported_comes_back_the_same(files: Street, ending: str) -> None:
    files.done("weights", "import", "G.pth", "--classes", "cityscapes", "--discriminator", "D.pth", "--name", "one")
    assert files.done("weights", "export", "one", f"x.{ending}").out == f"x.{ending}\n"
    files.done("weights", "export", "one", "y.pth", "--network", "discriminator")
    theirs = [torch.load(name, weights_only=True) for name in ("D.pth", "y.pth")]
    assert theirs[0].keys() == theirs[1].keys() and all(torch.equal(t, theirs[1][k]) for k, t in theirs[0].items())
    if ending == "pth":
        assert torch.load("x.pth", weights_only=True).keys() == public().keys()
    # a safetensors file knows its input, a public one does not
    files.done("weights", "import", f"x.{ending}", "--name", "two")
    assert load("two").input_kind == ("source" if ending == "pth" else "label")
    parts = []
    for name in ("one", "two"):
        folder = Path("runs", name, "checkpoints", "00000000")
        parts.append(read_part(folder, read_state(folder), "generator"))
    assert parts[0].keys() == parts[1].keys() and all(torch.equal(t, parts[1][k]) for k, t in parts[0].items())


def test_a_trained_run_is_exported_as_far_as_a_format_holds_it(files: Street) -> None:
    files.done("weights", "export", "a", "x.pth")
    exported = import_state_dict(read_state_dict("x.pth"))
    assert exported.name == "unet" and exported.arguments["depth"] == 5
    by = ("weights", "export", "a", "x.pth", "--format", "pytorch-pix2pix")
    files.refused(2, "it knows no depth=5", by=(*by, "--force"))
    files.done("weights", "export", "a", "d.pth", "--network", "discriminator")
    assert import_state_dict(read_state_dict("d.pth")).name == "patchgan"
    files.done("weights", "export", "last", "x.safetensors")


def test_what_cannot_be_exported_is_told(files: Street) -> None:
    files.done("weights", "import", "G.pth", "--name", "one")
    Path("there.pth").write_bytes(b"mine")
    for code, words, arguments in (
        (2, "no run", ["none", "x.pth"]),
        (2, "exists already", ["one", "there.pth"]),
        (2, "is a folder", ["one", "data", "--format", "onnx"]),
        (2, "names no format", ["one", "x.doc"]),
        (2, "--format", ["one", "x.pth", "--format", "onyx"]),
        (2, "it has no discriminator", ["one", "x.pth", "--network", "discriminator"]),
        (2, "no checkpoint '7'", ["one", "x.pth", "--checkpoint", "7"]),
        (2, "cannot hold this network", ["one", "x.pth", "--format", "pytorch-pix2pix"]),
        (2, "pix2pixHD has no unet", ["one", "x.pth", "--format", "pix2pixHD"]),
    ):
        files.refused(code, words, by=("weights", "export", *arguments))
    assert Path("there.pth").read_bytes() == b"mine"
    files.done("weights", "export", "one", "there.pth", "--force")


@pytest.fixture
def onnx() -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} (the extra onnx) is not installed")


@pytest.mark.usefixtures("onnx")
def test_onnx_computes_what_we_compute(files: Street) -> None:
    import onnxruntime

    files.done("weights", "import", "G.pth", "--classes", "cityscapes", "--name", "one")
    done = files.done("weights", "export", "one", "x.onnx")
    assert done.out == "x.onnx\n" and "any batch, sides from 32 in multiples of 32" in done.err
    session = onnxruntime.InferenceSession("x.onnx", providers=["CPUExecutionProvider"])
    network = import_state_dict(public()).build().eval()
    for shape in ((1, 3, 64, 32), (3, 3, 32, 96)):
        x = torch.rand(shape) * 2 - 1
        with torch.inference_mode():
            ours = network(x).numpy()
        assert np.abs(session.run(None, {"input": x.numpy()})[0] - ours).max() < 1e-4
    record = json.loads(session.get_modelmeta().custom_metadata_map["citygan"])
    assert record["name"] == "unet" and record["inputs"]["classes"]["name"] == "cityscapes"


@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unet", {"depth": 4, "norm": "instance", "upsample": "bilinear", "skips": False}),
        ("resnet", {"blocks": 1, "norm": "instance"}),
        ("enhanced", {"depth": 4}),
        ("patchgan", {"receptive_field": 16}),
        ("pixelgan", {"norm": "instance"}),
        ("multiscale", {"norm": "instance", "scales": 2}),
        ("local-enhancer", {"norm": "instance", "blocks": 1, "halvings": 1, "local_blocks": 1}),
        ("deeplabv3", {}),
        ("resnet18", {"photo_channels": 3}),
    ],
)
def test_other_networks_as_onnx(name: str, arguments: dict[str, object]) -> None:
    from citygan.onnxfile import to_onnx

    table = GENERATORS if name in GENERATORS else DISCRIMINATORS
    data, what = to_onnx(table[name](in_channels=3, width=4, **arguments), 3, "{}", Path("x.onnx"))
    assert data and "any batch, sides from" in what


@pytest.mark.usefixtures("onnx")
def test_an_onnx_file_that_computes_something_else_is_not_kept(files: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    files.done("weights", "import", "G.pth", "--name", "one")
    monkeypatch.setattr("citygan.onnxfile._difference", lambda *arguments: 2e-4)
    files.refused(5, "something else: 2.0e-04 away", "nothing was written", by=("weights", "export", "one", "x.onnx"))
    monkeypatch.setattr("citygan.onnxfile._difference", lambda *arguments: float("nan"))
    files.refused(5, "something else", by=("weights", "export", "one", "x.onnx"))


def test_without_the_packages_for_onnx_their_extra_is_named(files: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    files.done("weights", "import", "G.pth", "--name", "one")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    files.refused(5, "onnx", "pip install 'citygan[onnx]'", by=("weights", "export", "one", "x.onnx"))


# fetch


class _Server:
    """Answers on this machine alone; `content` is what it sends, `cut` how much of it."""

    def __init__(self) -> None:
        self.content, self.status = b"weights" * 300_000, 200
        self.cut: int | None = None
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(server.content)))
                self.end_headers()
                self.wfile.write(server.content[: server.cut])

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def row(self) -> WeightFile:
        """What it has, told by the checksum of `content` as it stands."""
        file = f"tiny-{hashlib.sha256(self.content).hexdigest()[:8]}.pth"
        return WeightFile(file, f"http://127.0.0.1:{self.http.server_port}/{file}", "a test's")


@pytest.fixture
def server(street: Street, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    """A server with one file, in the catalogue as `tiny`; torch's folder is `hub` in the street."""
    made = _Server()
    row = made.row
    monkeypatch.setattr(fetching, "catalogue", lambda: {"tiny": row})
    monkeypatch.setenv("TORCH_HOME", str(street.path / "hub"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_weights_are_fetched_once_and_checked(street: Street, server: _Server) -> None:
    path = street.path / "hub" / "hub" / "checkpoints" / server.row.file
    assert "-      tiny-" in street.done("weights", "fetch").out
    assert street.done("weights", "fetch", "tiny").out == f"{path}\n"
    assert path.read_bytes() == server.content
    assert "there  tiny-" in street.done("weights", "fetch").out
    server.status = 500
    assert "there already" in street.done("weights", "fetch", "tiny").err
    server.status = 200
    path.write_bytes(b"damaged")
    street.done("weights", "fetch", "tiny")
    assert path.read_bytes() == server.content


def test_a_network_that_fails_leaves_nothing_behind(street: Street, server: _Server) -> None:
    folder = street.path / "hub" / "hub" / "checkpoints"
    fetch = ("weights", "fetch", "tiny")
    whole = server.content
    server.cut = 1000
    street.refused(5, "broke off after 1000", by=fetch)
    server.cut, server.status = None, 404
    street.refused(5, "404", server.row.file, by=fetch)
    server.status, server.content = 200, whole[:-1] + b"x"
    street.refused(5, "gave something else", "its sha256 begins with", by=fetch)
    server.http.shutdown()
    server.http.server_close()
    street.refused(5, "cannot be reached", "by hand", by=fetch)
    street.refused(2, "no weights named 'tinny'", "Did you mean tiny?", by=("weights", "fetch", "tinny"))
    assert not list(folder.iterdir())


def test_every_weights_error_names_something_that_can_be_fetched() -> None:
    rows = fetching.catalogue()
    assert rows.keys() == WEIGHTS.keys() == {*OF_METRICS, *(item.name for item in dataclasses.fields(WeightsSettings))}
    assert all(row.url.startswith("https://") and len(row.digest) >= 8 for row in rows.values())


def test_import_and_export_open_no_connection(files: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("a connection")

    for name in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    files.done("weights", "import", "G.pth", "--name", "one")
    files.done("weights", "export", "one", "x.safetensors")
    files.done("weights", "fetch")


def test_a_record_that_somebody_made_up_is_refused(files: Street) -> None:
    import safetensors.torch

    plain = {"a": torch.zeros(1)}
    for record in ('{"role": "generator"}', '{"role": "generator", "name": "unet", "arguments": {"depth": 99}}', "[]"):
        Path("x.safetensors").write_bytes(safetensors.torch.save(plain, metadata={"citygan": record}))
        files.refused(6, "x.safetensors", by=("weights", "import", "x.safetensors"))
    with pytest.raises(DamagedError, match="does not describe a network"):
        import_state_dict(plain, "x", {"role": "generator", "name": "no", "arguments": {}})
