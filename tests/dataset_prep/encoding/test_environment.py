from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from recbole_sibrar.data.atomic import DataError
from recbole_sibrar.dataset_prep.encoding import environment
from recbole_sibrar.dataset_prep.messages import some


def test_fingerprint_of_networks() -> None:
    network = torch.nn.Sequential(
        torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2).bfloat16()
    )
    same, other_weight, other_buffer = (copy.deepcopy(network) for _ in range(3))
    other_weight[2].weight.data[1, 1] += 1
    other_buffer[1].num_batches_tracked += 1
    other_structure = torch.nn.Sequential(*copy.deepcopy(network), torch.nn.ReLU())
    expected = environment.network_fingerprint(network)
    assert environment.network_fingerprint(same) == expected
    others = [
        environment.network_fingerprint(other)
        for other in (other_weight, other_buffer, other_structure)
    ]
    assert len({expected, *others}) == 4


def test_fingerprint_of_divided_texts() -> None:
    assert environment.fingerprint("ab", "c") != environment.fingerprint("a", "bc")


def test_refuses_a_missing_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert environment.choose_device("auto") == "cpu"
    with pytest.raises(DataError, match="--device: found cuda, but torch finds no CUDA device"):
        environment.choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [environment.choose_device(name) for name in ("auto", "cuda", "cpu")] == [
        "cuda",
        "cuda",
        "cpu",
    ]


def test_names_extra_of_missing_package() -> None:
    with pytest.raises(DataError) as caught:
        environment.require(["json", "no_such_package"], "text")
    assert (
        str(caught.value)
        == "not installed: no-such-package; pip install -c constraints.txt -e '.[text]'"
    )


@pytest.mark.parametrize("place", ["folder.npz", "file/x.npz", "x.txt"])
def test_names_unwritable_outputs(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=f"--output: .*{place}"):
        environment.check_output(tmp_path / place)


def test_some_names_stand_for_all() -> None:
    assert some(["a", "b", "c"]) == "3 (a, b, c)"
    assert some(["a", "b", "c", "d"]) == "4 (a, b, c, ...)"
