"""Figures by networks: equal to lpips and torch-fidelity with the same weights; nothing fetched or unpickled."""

from __future__ import annotations

import itertools
import json
import socket
import warnings
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pytest
import torch

import citygan
from citygan.data.store import PreparedSet
from citygan.errors import DamagedError, DataError, MachineError, UsageError
from citygan.evaluation import evaluate_folders, evaluate_run
from citygan.featurefile import FeatureFile
from citygan.metrics import METRICS, Setup, lookup, perceptual, start_all
from citygan.metrics.networks import SEED
from citygan.pictures import encode_png, read_photo
from citygan.weightfiles import OF_METRICS, WEIGHTS, find_weights, folder
from tests.street import Street

for package in ("lpips", "torch_fidelity"):
    pytest.importorskip(package, reason=f"{package} is not installed (the extra `metrics` brings it)")

UInt8 = npt.NDArray[np.uint8]
RANDOM = dict.fromkeys(OF_METRICS, "random")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No connection, and no weights that happen to lie on this machine."""

    def refuse(*arguments: object, **more: object) -> NoReturn:
        raise AssertionError(f"a connection: {arguments}")

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def pictures(count: int, size: tuple[int, int] = (48, 40), seed: int = 0) -> UInt8:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, size[0] // 8, size[1] // 8, 3), np.uint8)
    return np.clip(np.kron(coarse, np.ones((1, 8, 8, 1))) + rng.normal(0, 12, (count, *size, 3)), 0, 255).astype(
        np.uint8
    )


def save(path: Path, arrays: UInt8) -> Path:
    path.mkdir(parents=True)
    for number, array in enumerate(arrays):
        (path / f"p{number:03d}.png").write_bytes(encode_png(array))
    return path


def started(name: str, **more: Any) -> Any:
    rows, failed = start_all(lookup([name]), Setup(**{"device": "cpu", "weights": RANDOM, **more}))
    if failed:
        raise failed[name]
    return rows[0]


# lpips


def their_lpips(net: str) -> Any:
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(SEED)
        return lpips.LPIPS(net=net, pnet_rand=True, verbose=False)


@pytest.mark.parametrize(("name", "net"), [("lpips", "alex"), ("lpips-vgg", "vgg")])
def test_lpips_equals_the_package(name: str, net: str) -> None:
    x, y = pictures(3), pictures(3, seed=1)
    before = torch.get_rng_state()
    measured = citygan.evaluate(x, y, [name], weights=RANDOM, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    network = their_lpips(net)
    a, b = (torch.from_numpy(z).permute(0, 3, 1, 2).contiguous() / 127.5 - 1 for z in (x, y))
    with torch.inference_mode():
        each = [float(network(a[i : i + 1], b[i : i + 1])) for i in range(3)]
    figure = measured["metrics"][name]
    assert figure["mean"] == pytest.approx(np.mean(each), rel=1e-12) and figure["n"] == 3
    assert figure["std"] == pytest.approx(np.std(each), rel=1e-9)
    about = measured["protocol"]["metrics"][name]
    assert about["weights"] == "random, seed 0" and about["weights_sha256"] is None and about["network"] == net
    assert len(about["linear_sha256"]) == 64 and about["reference"].startswith("lpips 0.")


def test_lpips_takes_torchvisions_weights_from_a_file(tmp_path: Path) -> None:
    from torchvision.models import alexnet

    torch.manual_seed(7)
    file = tmp_path / "mine.pth"
    trunk = alexnet(weights=None)
    torch.save(trunk.state_dict(), file)
    theirs = their_lpips("alex")
    theirs.net.load_state_dict(
        {key: trunk.state_dict()[f"features.{key.partition('.')[2]}"] for key in theirs.net.state_dict()}
    )
    x, y = pictures(2)
    a, b = (torch.from_numpy(z).permute(2, 0, 1)[None].contiguous() / 127.5 - 1 for z in (x, y))
    row = started("lpips", weights={"alexnet": str(file)})
    with torch.inference_mode():
        assert row.measure(x, y) == float(theirs(a, b))
    assert row.protocol["weights"] == "mine.pth" and len(row.protocol["weights_sha256"]) == 64
    assert row.measure(x, y) != started("lpips").measure(x, y)


def test_lpips_is_a_distance() -> None:
    row = started("lpips")
    x, y = pictures(2)
    assert row.measure(x, x) == 0 < row.measure(x, y) == pytest.approx(row.measure(y, x), rel=1e-6)
    grey = x[..., :1]
    assert row.measure(grey, y[..., :1]) == row.measure(np.repeat(grey, 3, 2), np.repeat(y[..., :1], 3, 2))
    assert row.measure(x[::-1, ::-1], y[::-1, ::-1]) == row.measure(x[::-1, ::-1].copy(), y[::-1, ::-1].copy())
    with pytest.raises(DataError, match="smaller than the 31x31"):
        row.measure(x[:30], y[:30])
    assert started("lpips-vgg").measure(x[:16, :16], y[:16, :16]) > 0
    with pytest.raises(DataError, match="smaller than the 16x16"):
        started("lpips-vgg").measure(x[:15], y[:15])


# fid, kid


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the extractor, as its own file would hold them."""
    from citygan.metrics.networks import Inception

    file = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(Inception(Setup(device="cpu", weights=RANDOM)).network.state_dict(), file)
    return file


def test_fid_and_kid_equal_torch_fidelity(
    tmp_path: Path, inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch_fidelity

    monkeypatch.delenv("TORCH_HOME")
    fake, real = save(tmp_path / "fake", pictures(4, seed=2)), save(tmp_path / "real", pictures(4, seed=3))
    weights = {"inception": str(inception_file)}
    result = evaluate_folders(fake, real, ["fid", "kid"], weights=weights, device="cpu")
    theirs = torch_fidelity.calculate_metrics(
        input1=str(fake), input2=str(real), fid=True, kid=True, kid_subset_size=4, batch_size=1, cuda=False,
        cache=False, save_cpu_ram=True, verbose=False, feature_extractor_weights_path=str(inception_file),
    )  # fmt: skip
    fid, kid = result["metrics"]["fid"], result["metrics"]["kid"]
    assert fid["mean"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-12) and fid["n"] == 4
    assert kid["mean"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-12)
    assert kid["std"] == pytest.approx(theirs["kernel_inception_distance_std"], abs=1e-15)
    assert fid["std"] is None and fid["mean"] > 0 and kid["subset_size"] == 4
    assert fid["warning"].startswith("4 pictures are fewer than 2048")
    about = result["protocol"]["metrics"]
    assert about["kid"]["subsets"] == 100 and about["fid"]["weights"] == "inception.pth"
    assert about["fid"]["weights_sha256"] == about["kid"]["weights_sha256"] is not None


def test_figures_of_a_run_equal_the_packages_on_the_pictures_it_writes(street: Street, inception_file: Path) -> None:
    import torch_fidelity

    split = PreparedSet.open(street.path / "data/tiny").split("val")
    assert split.photo is not None
    real = save(street.path / "real", np.asarray(split.photo))
    street.done("translate", "data/tiny", "out", "--split", "val", "--device", "cpu")
    written = sorted(path for path in Path("out").rglob("*.png"))
    assert len(written) == len(split)
    asked = ("--metric", "lpips", "--metric", "fid", "--metric", "kid", "--split", "val", "--device", "cpu", "--json")
    weights = ("--set", "weights.alexnet=random", "--set", f"weights.inception={inception_file}")
    figures = json.loads(street.done("evaluate", *asked, *weights).out)["metrics"]
    theirs = torch_fidelity.calculate_metrics(
        input1=str(written[0].parent), input2=str(real), fid=True, kid=True, kid_subset_size=len(split), batch_size=1,
        cuda=False, cache=False, save_cpu_ram=True, verbose=False, feature_extractor_weights_path=str(inception_file),
    )  # fmt: skip
    assert figures["fid"]["mean"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-9)
    assert figures["fid"]["mean"] > 0
    assert figures["kid"]["mean"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    network = their_lpips("alex")
    each = []
    for path, photo in zip(written, split.photo, strict=True):
        a, b = (torch.tensor(z).permute(2, 0, 1)[None].contiguous() / 127.5 - 1 for z in (read_photo(path), photo))
        with torch.inference_mode():
            each.append(float(network(a, b)))
    assert figures["lpips"]["mean"] == pytest.approx(np.mean(each), rel=1e-12) and min(each) > 0


class Counting:
    """Stands for the extractor: features of a picture at no cost, and how often they were computed."""

    calls = 0

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        self.calls += 1
        pixels = x.double().flatten()
        return (torch.stack([(pixels * (k + 1)).sin().mean() for k in range(8)]).float()[None],)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    from citygan.metrics import networks

    counter = Counting()

    class Stub(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return counter(x)

    monkeypatch.setattr(networks, "_inception", Stub)
    return counter


def test_features_are_extracted_once_for_all_metrics(counting: Counting) -> None:
    x, y = pictures(6), pictures(6, seed=1)
    both = citygan.evaluate(x, y, ["fid", "kid"], weights=RANDOM, device="cpu")["metrics"]
    assert counting.calls == 12
    alone = citygan.evaluate(x, y, ["kid"], weights=RANDOM, device="cpu")["metrics"]
    assert alone["kid"] == both["kid"] and counting.calls == 24
    citygan.evaluate(x, x, ["fid"], weights=RANDOM, device="cpu")
    assert counting.calls == 30


def test_figures_of_equal_sets_are_nothing() -> None:
    features = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    assert abs(perceptual.compare_fid(features, features)["mean"]) < 1e-4
    assert perceptual.compare_kid(features, features[::-1].copy())["mean"] < 0  # unbiased
    assert perceptual.compare_fid(features, features + 1)["mean"] == pytest.approx(16, abs=1e-4)


def test_the_warning_ends_where_pictures_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    monkeypatch.setattr(perceptual, "FID_PICTURES", 40)
    assert perceptual.compare_fid(features, features)["warning"] is None
    assert perceptual.compare_fid(features[1:], features[1:])["warning"].startswith("39 pictures are fewer")
    monkeypatch.setattr(perceptual, "KID_SUBSET_SIZE", 30)
    assert perceptual.compare_kid(features, features)["subset_size"] == 30


def test_fid_is_warned_of_below_2048_pictures_and_kid_has_subsets_of_1000(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(2048, 4)).astype(np.float32)
    assert perceptual.compare_fid(features, features)["warning"] is None
    assert "2047 pictures are fewer than 2048" in perceptual.compare_fid(features[1:], features)["warning"]
    assert perceptual.KID_SUBSETS == 100
    monkeypatch.setattr(perceptual, "KID_SUBSETS", 1)
    assert perceptual.compare_kid(features, features)["subset_size"] == 1000


def test_one_picture_has_no_fid(counting: Counting) -> None:
    figures = citygan.evaluate(pictures(1), pictures(1, seed=1), ["fid", "kid", "l1"], weights=RANDOM, device="cpu")[
        "metrics"
    ]
    for name in ("fid", "kid"):
        assert figures[name]["mean"] is None and figures[name]["exit_code"] == 3
        assert "at least 2 are needed. Score a larger split" in figures[name]["reason"]
    assert figures["l1"]["n"] == 1


# features of the real pictures, kept


def test_features_of_the_real_pictures_are_kept(street: Street, counting: Counting) -> None:
    more: dict[str, Any] = {"metrics": ["fid", "kid"], "weights": RANDOM, "device": "cpu"}
    first = evaluate_run("a", **more)
    pictures_each = 2  # of val; fake, real and painting
    assert counting.calls == 3 * pictures_each
    (file,) = (street.path / "data/tiny/features").iterdir()
    assert file.name.startswith("val-") and file.suffix == ".safetensors"
    assert evaluate_run("a", **more) == first and counting.calls == 5 * pictures_each
    written = file.read_bytes()
    file.write_bytes(written[:-1] + bytes([written[-1] ^ 1]))  # damaged: computed again
    assert evaluate_run("a", **more) == first and counting.calls == 8 * pictures_each
    assert file.read_bytes() == written
    file.write_bytes(b"x")
    assert evaluate_run("a", **more) == first and file.read_bytes() == written
    PreparedSet.open(street.path / "data/tiny")


def test_a_set_that_may_not_be_written_is_scored_all_the_same(street: Street, counting: Counting) -> None:
    (street.path / "data/tiny/features").write_text("in the way")
    result = evaluate_run("a", metrics=["fid"], weights=RANDOM, device="cpu")
    assert result["metrics"]["fid"]["mean"] is not None


def test_features_of_other_weights_are_kept_apart(tmp_path: Path) -> None:
    file = FeatureFile(tmp_path, "val")
    features = {bytes([n] * 32): np.full(5, n, np.float32) for n in range(3)}
    file.write({"weights": 1}, features)
    assert file.read({"weights": 2}) == {}
    found = file.read({"weights": 1})
    assert found.keys() == features.keys() and all(np.array_equal(found[key], features[key]) for key in found)


# diversity


def test_diversity_is_the_mean_distance_of_all_pairs() -> None:
    samples = pictures(4)
    l1 = started("diversity-l1", draws={"dropout_seed": 3})
    pairs = list(itertools.combinations(samples.astype(float), 2))
    expected = np.mean([np.abs(a - b).mean() for a, b in pairs])
    assert l1.measure(samples[0], samples[0], samples=samples) == pytest.approx(expected, rel=1e-12)
    assert l1.protocol["dropout_seed"] == 3
    by_lpips, distance = started("diversity"), started("lpips")
    expected = np.mean([distance.measure(a, b) for a, b in itertools.combinations(samples, 2)])
    assert by_lpips.measure(samples[0], samples[0], samples=samples) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(DataError, match="at least two samples"):
        l1.measure(samples[0], samples[0], samples=samples[:1])


def test_diversity_of_a_run(street: Street, capsys: pytest.CaptureFixture[str]) -> None:
    done = street.run("evaluate", "--metric", "diversity-l1", "--samples", "3", "--json", "--per-image", "d.csv")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    figure = result["metrics"]["diversity-l1"]
    translator = citygan.load("a", device="cpu")
    split = PreparedSet.open(street.path / "data/tiny").split("val")
    assert split.label is not None
    each = []
    for label in split.label:
        draws = [translator.translate(np.asarray(label), sample=sample).astype(float) for sample in range(3)]
        each.append(np.mean([np.abs(a - b).mean() for a, b in itertools.combinations(draws, 2)]))
    assert figure["mean"] == pytest.approx(np.mean(each), rel=1e-9) and figure["mean"] > 0
    about = result["protocol"]["metrics"]["diversity-l1"]
    assert about["draws"] == [0, 1, 2] and about["dropout_seed"] == 0 and about["inference"] == "paper"
    assert figure["mean_colour"]["mean"] is None and "no other samples" in figure["mean_colour"]["reason"]
    lines = Path("d.csv").read_text().splitlines()
    assert lines[0] == "picture,diversity-l1,diversity-l1_mean_colour"
    assert float(lines[1].split(",")[1]) == pytest.approx(each[0]) and lines[1].endswith(",")
    done = street.run("evaluate", "--metric", "diversity-l1", "--metric", "l1", "--mode", "deterministic")
    assert done.code == 3 and "draws nothing at random" in done.error and "--mode paper" in done.error
    assert done.out.splitlines()[2].startswith("l1")
    done = street.run("evaluate", "--metric", "l1", "--samples", "3")
    assert done.code == 2 and "--samples is for diversity" in done.error


# weights that are not there, or are something else


def test_missing_weights_are_told_with_the_way_to_get_them(street: Street, tmp_path: Path) -> None:
    for names, weights in ((("lpips", "diversity"), "alexnet"), (("lpips-vgg",), "vgg16"), (("fid",), "inception")):
        asked = [word for name in (*names, "ssim") for word in ("--metric", name)]
        done = street.run("evaluate", *asked, "--json")
        assert done.code == 5 and done.err.count("error: ") == 1
        figures = json.loads(done.out)["metrics"]
        assert figures["ssim"]["mean"] is not None and all(figures[name]["mean"] is None for name in names)
        assert figures[names[0]]["exit_code"] == 5
        where = tmp_path / "torch/hub/checkpoints" / WEIGHTS[weights].file
        for words in (
            f"citygan weights fetch {weights}", WEIGHTS[weights].file, "TORCH_HOME", f"--set weights.{weights}=PATH",
            str(where), ", ".join(names),
        ):  # fmt: skip
            assert words in done.error, words


def test_nothing_is_translated_for_metrics_that_cannot_be_computed(street: Street) -> None:
    done = street.run("evaluate", "--metric", "lpips", "--json", "--per-image", "x.csv", "--plots", "plots")
    result = json.loads(done.out)
    assert done.code == 5 and result["images"] == 0 and result["metrics"]["lpips"]["mean"] is None
    assert not Path("x.csv").exists() and not Path("plots").exists() and "figures of each" not in done.err
    assert not Path("runs/a/figures").exists()


def test_a_figure_that_is_kept_stays_when_it_cannot_be_computed_again(street: Street) -> None:
    done = street.done("evaluate", "--metric", "lpips", "--set", "weights.alexnet=random")
    assert "warning: random weights (alexnet), as asked" in done.err
    (kept,) = Path("runs/a/figures").iterdir()
    before = json.loads(kept.read_text())
    assert street.run("evaluate", "--metric", "lpips", "--metric", "ssim").code == 5
    after = json.loads(kept.read_text())
    assert after["metrics"]["lpips"] == before["metrics"]["lpips"] and after["metrics"]["ssim"]["mean"] is not None
    assert after["protocol"]["metrics"]["lpips"]["weights"] == "random, seed 0"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "weights.alex=random"], "no weights named 'alex', --set. Did you mean alexnet?"),
        (["--set", "train.batch=4"], "expected weights.NAME=PATH or weights.NAME=random"),
        (["--set", "weights.alexnet"], "expected weights.NAME=PATH or weights.NAME=random"),
        (["--metric", "diversity", "--samples", "1"], "--samples: expected at least 2"),
    ],
)
def test_wrong_usage(street: Street, arguments: list[str], words: str) -> None:
    done = street.run("evaluate", *arguments)
    assert done.code == 2 and words in done.error and not done.out


@pytest.mark.parametrize("kind", ["optimizer", "our optimizer", "other network", "pickle", "nan", "gone", "short"])
def test_other_files_are_not_weights(street: Street, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "weights.pth"
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    code, words = 6, ""
    if kind == "optimizer":
        torch.save(optimizer.state_dict(), file)
        words = "an optimizer's state, not the weights of a network"
    elif kind == "our optimizer":
        file = next((street.path / "runs/a/checkpoints").rglob("optimizer-*.safetensors"))
        words = "an optimizer's state, not the weights of a network"
    elif kind == "other network":
        torch.save(network.state_dict(), file)
        words = "the weights do not fit the network"
    elif kind == "pickle":
        torch.save({"x": Path("x")}, file)
        words = "it was not run"
    elif kind == "nan":
        torch.save({"features.0.weight": torch.full((1,), float("nan"))}, file)
        words = "not finite"
    elif kind == "short":
        file.write_bytes(b"PK\x03\x04torn")
        words = "damaged"
    else:
        code, words = 5, "no weights 'alexnet'"
    done = street.run("evaluate", "--metric", "lpips", "--metric", "l1", "--set", f"weights.alexnet={file}")
    assert done.code == code and words in done.error and file.name in done.error, done.error
    assert done.err.count("error: ") == 1 and "l1" in done.out and "Traceback" not in done.err


def test_published_files_are_checked_by_their_checksum() -> None:
    row = WEIGHTS["alexnet"]
    folder().mkdir(parents=True)
    (folder() / row.file).write_bytes(b"other")
    with pytest.raises(DamagedError, match=r"its sha256 begins with d9298a10, not 7be5be79"):
        find_weights("alexnet", {})
    assert find_weights("alexnet", {"alexnet": str(folder() / row.file)}).sha256 is not None  # as the user says
    assert find_weights("alexnet", {"alexnet": "random"}).path is None
    for row in WEIGHTS.values():
        assert len(row.digest) == 8 and set(row.digest) <= set("0123456789abcdef")
        assert row.url.endswith((f"/{row.file}", "/" + row.file.replace(f"-{row.digest}", "")))


def test_the_folder_of_weights_is_torchs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for settings in ({"TORCH_HOME": str(tmp_path)}, {"XDG_CACHE_HOME": str(tmp_path)}, {}):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        assert str(folder()) == str(Path(torch.hub.get_dir()) / "checkpoints")


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lpips", None)
    with pytest.raises(MachineError, match=r"package lpips is missing.*citygan\[metrics\]"):
        started("lpips")


def test_a_device_that_is_not_there_stops_the_command(tmp_path: Path) -> None:
    fake = save(tmp_path / "fake", pictures(2))
    with pytest.raises(UsageError, match="no device 'gpu'"):
        evaluate_folders(fake, fake, ["lpips"], weights=RANDOM, device="gpu")


def test_the_table_waits_for_no_network() -> None:
    import subprocess
    import sys

    code = "import sys, citygan.metrics; sys.exit(bool({'torch', 'lpips', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    assert set(METRICS) >= {"lpips", "fid", "kid", "miou", "colour", "diversity"}
