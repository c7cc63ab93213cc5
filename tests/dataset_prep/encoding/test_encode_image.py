from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from recbole_sibrar.cli import main
from recbole_sibrar.dataset_prep.encoding.environment import find_spec
from recbole_sibrar.dataset_prep.encoding.torchvision_build import import_torchvision

if find_spec("timm") is None or not import_torchvision():
    pytest.skip("the networks of these tests come with the extra 'image'", allow_module_level=True)

NETWORKS = {"timm": "test_resnet", "torchvision": "shufflenet_v2_x0_5"}
"""The smallest of each library."""


def _network(library: str) -> Any:
    """A whole network, whose weights are random but the same each time."""
    torch.manual_seed(3)
    if library == "timm":
        import timm

        return timm.create_model(NETWORKS[library], pretrained=False).eval()
    from torchvision.models import get_model

    return get_model(NETWORKS[library], weights=None).eval()


def _transform(library: str, network: Any) -> Any:
    if library == "timm":
        from timm.data import create_transform

        size, mean, std = (network.pretrained_cfg[name] for name in ("input_size", "mean", "std"))
        crop, interpolation = (
            network.pretrained_cfg[name] for name in ("crop_pct", "interpolation")
        )
        return create_transform(
            size, mean=mean, std=std, crop_pct=crop, interpolation=interpolation
        )
    from torchvision.models import get_model_weights

    return get_model_weights(NETWORKS[library]).DEFAULT.transforms()


def _features(library: str, images: list[Image.Image]) -> np.ndarray:
    """What the classifier of the whole network gets, an image at a time."""
    network = _network(library)
    transform = _transform(library, network)
    inputs: list[np.ndarray] = []
    network.fc.register_forward_pre_hook(lambda module, given: inputs.append(given[0][0].numpy()))
    with torch.no_grad():
        for image in images:
            network(transform(image.convert("RGB"))[None])
    return np.stack(inputs)


@pytest.fixture(scope="module", params=list(NETWORKS))
def weights(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A library, and the file of the weights of its network."""
    file = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(_network(request.param).state_dict(), file)
    return request.param, file


def _image(seed: int, mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(
        0, 256, (size[1] // 10, size[0] // 10, 3), dtype=np.uint8
    )
    return Image.fromarray(pixels).resize(size).convert(mode)


def _encode(source: Path, output: Path, weights: tuple[str, Path], *options: str) -> int:
    library, file = weights
    given = [
        "--input",
        str(source),
        "--output",
        str(output),
        "--library",
        library,
        "--model",
        NETWORKS[library],
    ]
    return main(["encode-image", *given, "--weights", str(file), *options])


def _read(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return file["ids"].tolist(), file["embedding"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_vectors_are_classifier_inputs(
    tmp_path: Path, weights: tuple[str, Path], workers: str
) -> None:
    source = tmp_path / "images"
    (source / "more").mkdir(parents=True)
    images = {
        "b.png": _image(0),
        "a.PNG": _image(1, "L", (200, 300)),
        "c.webp": _image(2, "RGBA"),
        "more/d.gif": _image(3, "P", (30, 30)),
        "more/e.x.tif": _image(4, "CMYK"),
    }
    for name, image in images.items():
        image.save(source / name, **({"lossless": True} if name.endswith("webp") else {}))
    (source / "readme.txt").write_text("no image")
    (source / ".c.png").write_text("hidden")
    assert (
        _encode(source, tmp_path / "a.npz", weights, "--batch_size", "2", "--workers", workers) == 0
    )
    ids, vectors = _read(tmp_path / "a.npz")
    assert ids == ["a", "b", "c", "d", "e.x"]
    opened = [Image.open(source / name) for name in sorted(images)]
    np.testing.assert_allclose(vectors, _features(weights[0], opened), rtol=1e-4, atol=1e-5)


def test_reads_paths_relative_to_their_table(
    tmp_path: Path, weights: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data" / "covers"
    folder.mkdir(parents=True)
    for n in range(3):
        _image(n).save(folder / f"{n}.png")
    _image(5, size=(400, 400)).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-2000])
    (folder / "text.png").write_text("no image")
    cells = {
        "z": "covers/2.png",
        "cut": "covers/cut.jpg",
        "y": str(folder / "0.png"),
        "text": "covers/text.png",
    }
    cells |= {"gone": "covers/gone.png", "none": "", "x": "covers/0.png", "folder": "covers"}
    pd.DataFrame(cells.items(), columns=["item", "cover"]).to_csv(
        tmp_path / "data" / "a.csv", index=False
    )
    options = ["--id_column", "item", "--path_column", "cover", "--batch_size", "3"]
    assert _encode(tmp_path / "data" / "a.csv", tmp_path / "a.npz", weights, *options) == 0
    ids, vectors = _read(tmp_path / "a.npz")
    assert ids == ["z", "y", "x"]
    np.testing.assert_allclose(
        vectors, _features(weights[0], [_image(2), _image(0), _image(0)]), rtol=1e-4, atol=1e-5
    )
    message = "5 (cut, text, gone, ...) of 8 images are not there or unreadable and are left out"
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_changed_images_are_encoded_again(
    tmp_path: Path,
    weights: tuple[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = tmp_path / "images"
    source.mkdir()
    for n in range(20):
        _image(n).save(source / f"{n:02}.png")

    def run(finish: bool = True) -> str:
        with monkeypatch.context() as patch:
            if not finish:
                patch.setattr(
                    "recbole_sibrar.dataset_prep.encoding.blocks.write_vectors", _interrupt
                )
            _encode(source, tmp_path / "a.npz", weights, "--batch_size", "1")
        return capsys.readouterr().err

    run(finish=False)
    assert "goes on after 20 of 20 images" in run(finish=False)
    _image(99).save(source / "07.png")
    assert "this has changed: input" in run()
    expected = _features(weights[0], [_image(99), _image(8)])
    np.testing.assert_allclose(_read(tmp_path / "a.npz")[1][7:9], expected, rtol=1e-4, atol=1e-5)


def test_weights_are_found_in_a_package(
    tmp_path: Path, weights: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "cover_weights-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cover-weights\nVersion: 1.0\n")
    (info / "RECORD").write_text("cover_weights/net.pth,,\n")
    (tmp_path / "site" / "cover_weights").mkdir()
    (tmp_path / "site" / "cover_weights" / "net.pth").write_bytes(weights[1].read_bytes())
    monkeypatch.syspath_prepend(tmp_path / "site")
    (tmp_path / "images").mkdir()
    _image(0).save(tmp_path / "images" / "0.png")
    assert (
        _encode(tmp_path / "images", tmp_path / "a.npz", (weights[0], Path("Cover_Weights"))) == 0
    )
    expected = _features(weights[0], [_image(0)])
    np.testing.assert_allclose(_read(tmp_path / "a.npz")[1], expected, rtol=1e-4, atol=1e-5)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_refuses_weights_of_another_network(
    tmp_path: Path, weights: tuple[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    _image(0).save(tmp_path / "0.png")
    other, text, none = tmp_path / "other.pth", tmp_path / "text.pth", tmp_path / "none.pth"
    torch.save(torch.nn.Linear(2, 2).state_dict(), other)
    text.write_text("weights")
    for file, message in (
        (other, "does not fit"),
        (text, "holds no weights"),
        (none, "there is no file"),
    ):
        assert _encode(tmp_path, tmp_path / "a.npz", (weights[0], file)) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert re.search(f"error: --weights: .*{message}", line)


WRONG = {
    "unknown timm": (
        ["--model", "resnet51"],
        r"--model: timm has no network 'resnet51'; did you mean 'resnet5.*'\?",
    ),
    "unknown torchvision": (
        ["--library", "torchvision", "--model", "resnt18"],
        r"--model: torchvision has no network 'resnt18'; did you mean 'resnet18'\?",
    ),
    "no classifier": (
        [
            "--library",
            "torchvision",
            "--model",
            "squeezenet1_1",
            "--weights",
            "{folder}/weights.pth",
        ],
        "torchvision's squeezenet1_1 has no linear classifier to leave out; try --library timm",
    ),
    "no such tag": (
        ["--model", "resnet18.none_such"],
        "--model: resnet18.none_such cannot be made",
    ),
    "no network": (
        ["--model", "test_resnet"],
        "cannot be downloaded, .* or name its weights with --weights FILE",
    ),
    "no image": (["--input", "{folder}/empty"], "--input: found no image in"),
    "no folder": (["--input", "{folder}/none"], "--input: found .*none, allowed is"),
    "twice": (["--input", "{folder}/twice"], "'0' is that of .*twice/0.png and .*twice/more/0.jpg"),
    "workers": (["--workers", "-1"], "--workers: found -1, allowed is 0 or a number of processes"),
    "all damaged": (
        ["--input", "{folder}/damaged", "--weights", "{folder}/weights.pth"],
        "none of the 1 images can be read",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_end_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("images/0.png", "twice/0.png", "twice/more/0.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        _image(0).save(tmp_path / name)
    for name in ("empty", "damaged"):
        (tmp_path / name).mkdir()
    (tmp_path / "damaged" / "0.png").write_text("no image")
    torch.save(_network("timm").state_dict(), tmp_path / "weights.pth")
    options, message = WRONG[case]
    output = tmp_path / "out" / "a.npz"
    given = [
        "--input",
        "{folder}/images",
        "--output",
        str(output),
        "--model",
        NETWORKS["timm"],
        *options,
    ]
    assert main(["encode-image", *(option.format(folder=tmp_path) for option in given)]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("recbole-sibrar encode-image: error: ")
    assert re.search(message, line)
    assert not output.exists()
