"""`pytest-federated init`: a stranger's file of any kind becomes a scenario that runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_data import NO_CACHE
from odd_data import draw, picture
from pytest_federated import load_file
from pytest_federated.__main__ import main
from pytest_federated.core.errors import FederatedError
from pytest_federated.data.datasets.dataset import datasets, described
from pytest_federated.data.guesses import names
from pytest_federated.running import pipeline
from pytest_federated.scenario.draft import yaml_value
from ruamel.yaml import YAML
from written_files import write_users

pytestmark = pytest.mark.usefixtures("in_tmp_path")

RNG = np.random.default_rng(0)
N = 120
NUMBERS = RNG.normal(size=(N, 3)).round(3)
WORDS = np.array(["ill", "well", "dead"])
WARDS = np.array(["north", "south", "east"])


def frame(**more: Any) -> pd.DataFrame:
    columns = {"age": NUMBERS[:, 0], "bmi": NUMBERS[:, 1], "bp": NUMBERS[:, 2]}
    return pd.DataFrame({**columns, **more})


def every_third(values: np.ndarray) -> np.ndarray:
    return values[np.arange(N) % len(values)]


def csv(name: str = "d.csv", index: bool = False, **more: Any) -> str:
    how = {key: more.pop(key) for key in ("sep", "decimal", "encoding", "header") if key in more}
    frame(**more).to_csv(name, index=index, **how)
    return name


def as_it_is(text: str, name: str = "d.csv", encoding: str = "utf-8") -> str:
    Path(name).write_bytes(text.encode(encoding))
    return name


def parquet(**more: Any) -> str:
    frame(**more).to_parquet("d.parquet", index=False)
    return "d.parquet"


def npz(**arrays: Any) -> str:
    np.savez("d.npz", **arrays)
    return "d.npz"


def images(form: str, count: int = 24, size: Any = lambda n: (10, 12)) -> str:
    for n in range(count):
        pixels = RNG.integers(256, size=size(n)).astype(np.uint8)
        draw(f"d/{form.format(n=n, label=WORDS[n % 3], part=PARTS[n % 4], ward=WARDS[n % 2])}",
             picture(pixels))  # fmt: skip
    return "d"


PARTS = ["train", "train", "train", "test"]


def listed_images(**columns: Any) -> str:
    images("img/{n}.png")
    paths = [f"img/{n}.png" for n in range(24)]
    base = {"file": paths, "finding": WORDS[np.arange(24) % 3].tolist()}
    pd.DataFrame({**base, **columns}).to_csv("d/list.csv", index=False)
    return "d/list.csv"


def leaf() -> str:
    for part, count in (("train", 30), ("test", 6)):
        own = {"x": RNG.random((count, 4)).tolist(), "y": (np.arange(count) % 3).tolist()}
        write_users(f"d/{part}", {"u": own, "v": own})
    return "d"


def saved() -> str:
    import datasets as hf

    columns = {"x": RNG.random((60, 4)).tolist(), "label": (np.arange(60) % 3).tolist()}
    table = hf.Dataset.from_dict(columns)
    hf.DatasetDict({"train": table, "test": table.select(range(9))}).save_to_disk("d")
    return "d"


BYTES = RNG.integers(256, size=(N, 9, 9)).astype(np.uint8)
THREE, TWO = np.arange(N) % 3, np.arange(N) % 2
MEDMNIST = {
    "train_images": BYTES[:90],
    "train_labels": TWO[:90, None].astype(np.uint8),
    "val_images": BYTES[90:100],
    "val_labels": TWO[90:100, None],
    "test_images": BYTES[100:],
    "test_labels": TWO[100:, None],
}

# How to make it, the keys that are guessed, and keys that must not be.
KINDS: dict[str, tuple[Callable[[], str], dict[str, Any], tuple[str, ...]]] = {
    "an index column": (
        lambda: csv(index=True, target=THREE),
        {"label": "target", "exclude": ["Unnamed: 0"], "standardize": True},
        ("task", "client", "separator"),
    ),
    "an identifier, and a name of the label": (
        lambda: csv(patient_id=RNG.permutation(9 * N)[:N], target=THREE, word=every_third(WORDS)),
        {"label": "target", "exclude": ["patient_id", "word"]},
        ("categories", "client"),
    ),
    "semicolons, decimal commas and umlauts": (
        lambda: csv(sep=";", decimal=",", encoding="latin-1", größe=TWO),
        {"separator": ";", "decimal": ",", "encoding": "cp1252", "label": "größe"},
        ("columns", "missing"),
    ),
    "tabs": (lambda: csv("d.tsv", sep="\t", y=THREE), {"separator": "\t", "label": "y"}, ()),
    "UTF-16": (
        lambda: csv(encoding="utf-16", outcome=every_third(WORDS)),
        {"encoding": "utf-16", "label": "outcome"},
        (),
    ),
    "a packed table": (lambda: csv("d.csv.gz", y=THREE), {"label": "y"}, ("encoding",)),
    "no header": (
        lambda: csv(header=False, last=THREE),
        {"columns": [f"column_{n}" for n in range(1, 5)], "label": "column_4"},
        (),
    ),
    "words and no header": (
        lambda: csv(header=False, last=every_third(WORDS)),
        {"columns": [f"column_{n}" for n in range(1, 5)], "label": "column_4"},
        ("categories",),
    ),
    "identifiers and labels without names, as in UCI's wdbc.data": (
        lambda: as_it_is(
            pd.DataFrame({"id": RNG.permutation(9 * N)[:N], "y": every_third(WORDS), **frame()})
            .to_csv(index=False, header=False)
        ),
        {"label": "column_2", "exclude": ["column_1"]},
        ("categories",),
    ),
    "a number to predict, not the last column": (
        lambda: csv(median_house_value=3e5 + 1e5 * NUMBERS[:, 0], sea=every_third(WORDS)),
        {"label": "median_house_value", "task": "regression", "categories": ["sea"]},
        (),
    ),
    "thousands separators": (
        lambda: csv(sep=";", pay=[f"{n + 1}.{n + 100},50" for n in range(N)], y=THREE),
        {"exclude": ["pay"]},
        ("decimal",),
    ),
    "spaces": (
        lambda: as_it_is(frame(label=THREE).to_string(index=False), "d.txt"),
        {"separator": "spaces", "label": "label"},
        ("columns",),
    ),
    "names in a comment, as NumPy writes them": (
        lambda: as_it_is("# a,b,c,label\n" + frame(label=THREE).to_csv(index=False, header=False)),
        {"comment": "#", "columns": ["a", "b", "c", "label"], "label": "label"},
        (),
    ),
    "clients by their name": (
        lambda: csv(HospitalID=every_third(WARDS), died=TWO),
        {"client": "HospitalID", "label": "died", "task": "binary"},
        ("categories", "exclude"),
    ),
    "missing values": (
        lambda: csv(lab=holes(), y=THREE),
        {"missing": "median", "label": "y"},
        ("na_values", "exclude"),
    ),
    "question marks for missing values": (
        lambda: csv(lab=[x if n % 7 else "?" for n, x in enumerate(NUMBERS[:, 0])], y=THREE),
        {"na_values": ["", "NA", "N/A", "None", "null", "nan", "NaN", "?"], "missing": "median"},
        ("categories",),
    ),
    "missing labels": (
        lambda: csv(y=[None if n % 9 == 0 else WORDS[n % 3] for n in range(N)]),
        {"missing": "drop", "label": "y"},
        (),
    ),
    "labels from 1": (lambda: csv(quality=THREE + 1), {"label": "quality"}, ("task",)),
    "a number to predict": (
        lambda: csv(price=1e5 * NUMBERS[:, 0] + 3e5),
        {"label": "price", "task": "regression"},
        (),
    ),
    "words, texts and dates": (
        lambda: csv(
            color=every_third(WORDS),
            note=[f"note {n % 70}" for n in range(N)],
            day=pd.date_range("2020-01-01", periods=N).astype(str),
            died=every_third(np.array(["yes", "no"])),
        ),
        {"categories": ["color"], "exclude": ["note", "day"], "label": "died", "task": "binary"},
        (),
    ),
    "columns of pixels": (
        lambda: as_it_is(
            pd.DataFrame(
                {"label": THREE, **{f"pixel{n}": BYTES[:, n // 9, n % 9] for n in range(81)}}
            ).to_csv(index=False)
        ),
        {"label": "label", "shape": [9, 9, 1]},
        (),
    ),
    "Parquet with dates and truth values": (
        lambda: parquet(day=pd.date_range("2020-01-01", periods=N), well=TWO == 0, y=THREE),
        {"exclude": ["day"], "label": "y"},
        ("categories",),
    ),
    "Parquet with lists": (
        lambda: parquet(embedding=list(RNG.random((N, 4))), y=THREE),
        {"features": ["embedding"], "label": "y"},
        ("standardize", "exclude"),
    ),
    "a training and a test table": (
        lambda: (csv("test.csv", y=THREE[::-1]), csv("train.csv", y=THREE))[1],
        {"csv": "train.csv", "test": "test.csv"},
        (),
    ),
    "a test table without labels": (
        lambda: (csv("test.csv"), csv("train.csv", y=THREE))[1],
        {"csv": "train.csv"},
        ("test",),
    ),
    "MedMNIST": (
        lambda: npz(**MEDMNIST),
        {"x": "train_images", "y": "train_labels", "test": "d.npz", "x_test": "test_images",
         "y_test": "test_labels", "task": "binary"},
        ("client",),
    ),
    "arrays with clients": (
        lambda: npz(x=NUMBERS, y=THREE, users=every_third(WARDS)),
        {"npz": "d.npz", "client": "users"},
        ("x", "y", "task"),
    ),
    "arrays without names": (
        lambda: (np.savez("d.npz", NUMBERS, THREE), "d.npz")[1],
        {"x": "arr_0", "y": "arr_1"},
        (),
    ),
    "arrays as Keras has them": (
        lambda: npz(x_train=BYTES[:90], y_train=THREE[:90], x_test=BYTES[90:], y_test=THREE[90:]),
        {"keras": "d.npz"},
        ("x",),
    ),
    "arrays of tags": (
        lambda: npz(x=NUMBERS, y=RNG.integers(2, size=(N, 4))),
        {"task": "tags"},
        (),
    ),
    "arrays of tokens": (
        lambda: npz(x=RNG.integers(20, size=(N, 6)), y=RNG.integers(20, size=(N, 6))),
        {"task": "tokens"},
        (),
    ),
    "arrays of a number to predict": (
        lambda: npz(x=NUMBERS, y=NUMBERS[:, 0] * 2),
        {"task": "regression"},
        (),
    ),
    "images in folders": (
        lambda: images("{label}/{n}.png"),
        {"image_folder": "d", "channels": 1},
        ("size", "by_client", "test"),
    ),
    "images of clients": (
        lambda: images("{ward}/{label}/{n}.png"),
        {"by_client": True},
        ("test",),
    ),
    "images of clients with their own test images": (
        lambda: images("{ward}/{part}/{label}/{n}.png", 48),
        {"by_client": True, "image_folder": "d"},
        ("test",),
    ),
    "images for training and testing": (
        lambda: images("{part}/{label}/{n}.png"),
        {"image_folder": "d/train", "test": "d/test"},
        ("by_client",),
    ),
    "large images of several sizes": (
        lambda: images("{label}/{n}.png", size=lambda n: (200 + n, 90)),
        {"size": [32, 32]},
        (),
    ),
    "large images of one size": (
        lambda: images("{label}/{n}.png", size=lambda n: (256, 128)),
        {"size": [64, 32]},
        (),
    ),
    "a table of images": (
        lambda: listed_images(hospital=["a", "b"] * 12, split=(PARTS * 6)),
        {"path": "file", "label": "finding", "client": "hospital", "split": "split"},
        ("exclude", "standardize"),
    ),
    "a folder with images and their table": (
        lambda: str(Path(listed_images()).parent),
        {"image_manifest": "d/list.csv", "path": "file"},
        ("image_folder",),
    ),
    "LEAF": (leaf, {"leaf": "d"}, ()),
    "Hugging Face": (saved, {"features": "x", "test": "test"}, ("label",)),
    "a data set of this package": (lambda: "wine", {"kind": "wine"}, ()),
    "names that YAML reads otherwise": (
        lambda: csv(**{"yes": NUMBERS[:, 0], "a: b": NUMBERS[:, 1], "#c": every_third(WORDS[:2]),
                       "null": THREE, "[x]": [f"{n}-" for n in range(N)]}),
        {"label": "null", "exclude": ["[x]"], "categories": ["#c"]},
        (),
    ),
    "a name that no terminal shows": (
        lambda: csv(**{"\x7f\u2028x": every_third(WORDS[:2]), "\U000e0041": every_third(WARDS),
                       "y": THREE}),
        {"label": "y", "categories": ["\x7f\u2028x"], "exclude": ["\U000e0041"]},
        (),
    ),
    "labels over several lines": (
        lambda: csv(y=every_third(np.array(["very\nill", "w\x1b[31mll"]))),
        {"label": "y", "task": "binary"},
        (),
    ),
    "a word of pandas for missing values beside a question mark": (
        lambda: as_it_is("a,b,c,y\n" + "".join(
            f"{'?' if n % 9 == 0 else n % 7 / 2},{'NULL' if n % 7 == 0 else n * n % 11 / 2},"
            f"{'n/a' if n % 5 == 0 else WORDS[n % 2]},{n % 3}\n" for n in range(N))),
        {"na_values": ["", "NA", "N/A", "None", "null", "nan", "NaN", "NULL", "n/a", "?"],
         "categories": ["c"], "missing": "median"},
        (),
    ),
    "a name of another alphabet": (
        lambda: csv("d.csv", **{"возраст 🙂": NUMBERS[:, 0], "y": THREE}),
        {"label": "y"},
        (),
    ),
}  # fmt: skip


def holes() -> np.ndarray:
    lab = NUMBERS[:, 0].copy()
    lab[::7] = np.nan
    return lab


def settings_in(file: str) -> dict[str, Any]:
    data = YAML(typ="safe").load(Path(file).read_text(encoding="utf-8"))["data"]["dataset"]
    return {"kind": data} if isinstance(data, str) else dict(data)


@pytest.mark.parametrize("make, keys, others", KINDS.values(), ids=KINDS.keys())
def test_a_scenario_is_written_that_can_be_run(
    make: Callable[[], str],
    keys: dict[str, Any],
    others: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = make()
    assert main(["init", data, "--out", "scenarios/mine.yaml"]) == 0
    shown = capsys.readouterr().out
    settings = settings_in("scenarios/mine.yaml")
    assert {key: settings.get(key) for key in keys} == keys
    assert not settings.keys() & {*others}
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.replace("\n", "").isprintable()
    assert shown.endswith("next: pytest scenarios/mine.yaml\n")
    assert "wrote scenarios/mine.yaml" in shown
    assert main(["check", "scenarios"]) == 0, capsys.readouterr().err
    (case,) = load_file(Path("scenarios/mine.yaml"))
    assert len(described(case.scenario.data.dataset, NO_CACHE).load(None).train) > 10
    _check_reasons(shown, Path("scenarios/mine.yaml").read_text(encoding="utf-8"), settings)


def _check_reasons(shown: str, text: str, settings: dict[str, Any]) -> None:
    """Each guess has a line on the screen; a column that is left out has its reason in the file."""
    own = ("csv", "parquet", "npz", "kind", "image_manifest", "x_test", "y_test", "exclude")
    for key in settings.keys() - {*own}:
        assert f"\n{key} " in f"\n{shown}"
    for name in settings.get("exclude", ()):
        item = re.escape(f"      - {yaml_value(name)}")
        assert re.search(rf"{item}  # \w|      # \w.*\n{item}\n", text)
    assert max(map(len, text.splitlines())) <= 80
    assert shown.count("left out: ") == len(settings.get("exclude", ()))


def damaged_npz() -> str:
    np.savez_compressed("d.npz", x=NUMBERS, y=THREE)
    content = bytearray(Path("d.npz").read_bytes())
    content[60:160] = b"\xff" * 100
    Path("d.npz").write_bytes(content)
    return "d.npz"


REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "nothing": (lambda: "nowhere.csv", "there is no file, folder or data set 'nowhere.csv'"),
    "a misspelled data set": (lambda: "wines", "did you mean 'wine'?"),
    "an empty table": (lambda: as_it_is(""), "d.csv cannot be read as a table: "),
    "a header alone": (lambda: as_it_is("a,b,y\n"), "d.csv: there are no examples in it"),
    "one column": (lambda: as_it_is("y\n0\n1\n0\n1\n"), "d.csv has no column to learn from"),
    "another first line, as in scikit-learn's wine_data.csv": (
        lambda: as_it_is("178,3,a\n" + "0.5,1,2,3,0\n0.1,2,3,1,1\n" * 9),
        "d.csv: 3 values in the first line, and 5 in the others; write the names of the 5 columns",
    ),
    "a line that does not fit": (
        lambda: as_it_is("a,b,y\n1,2,0\n1,2\n1,3,1\n"),
        "d.csv, line 3: 2 values, and the header has 3 names",
    ),
    "bytes": (
        lambda: str(Path("d.csv").write_bytes(bytes(range(256)) * 9) and "d.csv"),
        "d.csv cannot be read as a table: ",
    ),
    "a folder without anything": (lambda: str(Path("e").mkdir() or "e"), "e: it has no images"),
    "images without labels": (lambda: images("{n}.png"), "d: images must be there as label/image"),
    "images of one label": (lambda: images("all/{n}.png"), "d: images must be there as label/"),
    "an image that is none": (
        lambda: (images("{label}/{n}.png"), draw("d/ill/0.png", b"no"), "d")[2],
        "0.png cannot be read as an image",
    ),
    "images that are elsewhere": (
        lambda: as_it_is("file,label\na.png,x\nb.png,y\nc.png,x\n"),
        "d.csv: column 'file' names images, and 'a.png' is not in .",
    ),
    "arrays that say nothing": (lambda: npz(a=NUMBERS, b=NUMBERS), "it is not clear which arrays"),
    "no archive": (lambda: as_it_is("x", "d.npz"), "d.npz cannot be read as an .npz archive"),
    "a damaged archive": (damaged_npz, "d.npz cannot be read as an .npz archive of NumPy: Error"),
    "several tables": (
        lambda: [Path("t").mkdir(), csv("t/a.csv"), csv("t/b.csv"), "t"][3],
        "name one of its files: a.csv, b.csv",
    ),
}  # fmt: skip


@pytest.mark.parametrize("make, message", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_read_is_refused_in_one_line(
    make: Callable[[], str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", make()]) == 1
    out, error = capsys.readouterr()
    assert message in error
    assert error.count("\n") == 1
    assert not out
    assert not Path("scenarios").exists()


def test_nothing_is_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    csv(y=THREE)
    Path("scenarios").mkdir()
    Path("scenarios/d.yaml").write_text("mine")
    assert main(["init", "d.csv"]) == 1
    assert "scenarios/d.yaml exists, and is not overwritten; --out" in capsys.readouterr().err
    assert Path("scenarios/d.yaml").read_text() == "mine"
    for name in ("models.py", "models_d.py"):
        out = f"scenarios/{name}.yaml"
        assert main(["init", "d.csv", "--model", "--out", out]) == 0
        assert f'model: {{keras: "{Path(name).stem}:build"}}' in Path(out).read_text()
    assert main(["init", "d.csv", "--model", "--out", "scenarios/3.yaml"]) == 1
    assert "models.py and models_d.py exist in scenarios" in capsys.readouterr().err
    assert not Path("scenarios/3.yaml").exists()


def test_columns_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    csv(target=THREE, mood=every_third(WORDS), place=every_third(WARDS))
    arguments = ["init", "d.csv", "--label", "mood", "--client", "place", "--out", "a.yaml"]
    assert main(arguments) == 0
    settings = settings_in("a.yaml")
    assert (settings["label"], settings["client"]) == ("mood", "place")
    assert main(["init", "d.csv", "--label", "moood", "--out", "b.yaml"]) == 1
    assert "has no column 'moood' (data.dataset.label)" in capsys.readouterr().err


def test_columns_cannot_be_named_where_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    for data in (images("{label}/{n}.png"), "wine"):
        for option in ("--label", "--client"):
            assert main(["init", data, option, "x"]) == 1
            assert capsys.readouterr().err.startswith(f"{option}: ")


def test_a_data_set_of_ones_own_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_entries", datasets.entries())
    Path("pytest.ini").touch()
    Path("conftest.py").write_text(
        "import numpy as np\nimport pytest_federated\n\n"
        '@pytest_federated.dataset("sines_of_mine")\n'
        "def sines(cache):\n"
        "    x = np.arange(60, dtype=np.float32)[:, None]\n"
        "    examples = pytest_federated.Examples(np.sin(x), np.arange(60, dtype=np.int32) % 3)\n"
        '    return pytest_federated.in_memory("sines", examples, 3)\n'
    )
    assert main(["init", "sines_of_mine", "--out", "scenarios/s.yaml"]) == 0
    assert settings_in("scenarios/s.yaml") == {"kind": "sines_of_mine"}
    assert main(["check", "scenarios"]) == 0


def test_a_file_elsewhere_is_found_by_its_whole_path(tmp_path: Path) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    csv(str(elsewhere / "d.csv"), y=THREE)
    assert main(["init", str(elsewhere / "d.csv")]) == 0
    assert settings_in("scenarios/d.yaml")["csv"] == str((elsewhere / "d.csv").resolve())
    assert main(["check", "scenarios"]) == 0


def test_a_data_set_that_is_not_here_is_not_downloaded(capsys: pytest.CaptureFixture[str]) -> None:
    for name, model in (("emnist", "cnn"), ("shakespeare", "lstm"), ("stackoverflow", "mlp")):
        assert main(["init", name, "--data-cache", "nothing"]) == 0
        assert "it is downloaded by the first run" in capsys.readouterr().out
        (case,) = load_file(Path(f"scenarios/{name}.yaml"))
        assert case.scenario.model is not None
        assert getattr(case.scenario.model, "kind") == model  # noqa: B009
    assert not Path("nothing").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, "label") for name in ("Y", "Target", "class_label", "target.1", "Diagnosis")),
        *((name, "client") for name in ("site", "HospitalID", "User Name", "clients", "ward_no")),
        *((name, "") for name in ("age", "y_position_in_mm_of_it", "userage", "classic", "")),
    ],
)
def test_names_say_what_columns_are(name: str, kind: str) -> None:
    assert (names.label_like([name]) == name) == (kind == "label")
    assert (names.client_like([name]) == [name]) == (kind == "client")


@pytest.mark.parametrize(
    "value", ["", "yes", "1", "1e3", "a: b", "#", "~", "- a", "ä", "a\n", "x, y"]
)
def test_values_are_read_back(value: Any) -> None:
    for written in (value, [value], {"k": value}, 3e-6, True, None, 0.5, [1, 2]):
        assert YAML(typ="safe", pure=True).load(f"k: {yaml_value(written)}")["k"] == written


@pytest.mark.parametrize(
    ("data", "arguments"),
    [("price.csv", []), pytest.param("img.npz", ["--model"], marks=pytest.mark.slow)],
)
def test_a_model_of_ones_own_fits_the_data(tff: Any, data: str, arguments: list[str]) -> None:
    """And trains: of images, and of numbers that are far from 0."""
    from pytest_federated.running.options import Options
    from pytest_federated.running.pipeline import run
    from pytest_federated.user.modules import own_folders

    np.savez("img.npz", x=BYTES, y=THREE)
    csv("price.csv", price=1e5 * NUMBERS[:, 0] + 3e5)
    assert main(["init", data, "--out", "mine/mine.yaml", *arguments]) == 0
    assert Path("mine/models.py").is_file()
    (case,) = load_file(Path("mine/mine.yaml"))
    with own_folders(Path("mine").resolve(), Path.cwd()):
        result = run(case, Options(rounds=2, seeds=1, reuse=False))
    (history,) = result.histories
    assert history.diverged is None
    assert len(history.rounds) == 2
    assert history.rounds[-1].scores.get("r2", 0) > -1  # it begins at the mean


def test_thresholds_are_calibrated_if_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "run", _no_training)
    csv(y=THREE)
    assert main(["init", "d.csv", "--calibrate"]) == 1
    assert capsys.readouterr().err == "it would train mine on ten seeds\n"
    assert Path("scenarios/d.yaml").is_file()


def _no_training(case: Any, options: Any, observers: Any) -> None:
    raise FederatedError(f"it would train mine on {'ten' * (options.seeds == 10)} seeds")
