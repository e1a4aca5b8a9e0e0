"""Annotations with contracts: they are the Polars frames that they name, and say which class these have."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Annotated, Any, TypedDict, TypeVar

import dataframely as dy
import polars as pl
import pytest
from typing_extensions import TypeAliasType

from dbxdec.model.contracts import STAND_IN_BASE, of_class
from dbxdec.model.typehints import Annotation, of_parameter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pandera imports whatever frames are installed
    import pandera.polars as pa
    from pandera.typing.polars import DataFrame, LazyFrame

T = TypeVar("T")


class Flights(dy.Schema):
    day = dy.Date()


class Model(pa.DataFrameModel):
    day: pl.Date


class Later(Flights):
    hour = dy.Int8()


Alias = TypeAliasType("Alias", dy.LazyFrame[Flights])
Of = TypeAliasType("Of", Annotated[T, Model], type_params=(T,))


def of(annotation: Any) -> Annotation:
    """The annotation of a parameter that is annotated so."""

    def function(value: Any) -> None:
        """Only its annotation matters."""

    function.__annotations__["value"] = annotation
    found = of_parameter(function, "value")
    assert found is not None
    assert found.error is None
    return found


@pytest.mark.parametrize(
    ("annotation", "frame", "title", "optional"),
    [
        (dy.LazyFrame[Flights], pl.LazyFrame, "Flights", False),
        (dy.DataFrame[Later], pl.DataFrame, "Later", False),
        (LazyFrame[Model], pl.LazyFrame, "Model", False),
        (DataFrame[Model], pl.DataFrame, "Model", False),
        (Annotated[pl.LazyFrame, Flights], pl.LazyFrame, "Flights", False),
        (Annotated[pl.DataFrame, "bronze", Model], pl.DataFrame, "Model", False),
        (dy.LazyFrame[Flights] | None, pl.LazyFrame, "Flights", True),
        (Annotated[pl.DataFrame | None, Flights], pl.DataFrame, "Flights", True),
        ("dy.LazyFrame[Flights]", pl.LazyFrame, "Flights", False),
        ("Annotated[pl.LazyFrame, 'x', Flights] | None", pl.LazyFrame, "Flights", True),
        (dy.LazyFrame["Flights"], pl.LazyFrame, "Flights", False),
        (Alias, pl.LazyFrame, "Flights", False),
        (Of[pl.DataFrame], pl.DataFrame, "Model", False),
    ],
    ids=str,
)
def test_an_annotation_is_a_frame_with_a_contract(annotation: Any, frame: Any, title: str, optional: bool) -> None:
    """The managers see the frame of Polars."""
    found = of(annotation)
    assert found.value is frame
    assert found.type_names == (f"polars.{frame.__name__}",)
    assert found.contract is not None
    assert (found.contract.title, found.contract.refusal, found.optional) == (title, "", optional)


@pytest.mark.parametrize(
    "annotation", [pl.LazyFrame, Annotated[pl.LazyFrame, "x", 3, int], list[pl.DataFrame], dict[str, Any]], ids=str
)
def test_other_annotations_have_none(annotation: Any) -> None:
    """Whatever else stands in an `Annotated`."""
    assert of(annotation).contract is None
    assert of(annotation).element().contract is None


def test_a_frame_of_pandas_with_a_model_is_none_of_these() -> None:
    """Managers refuse it by its name."""
    pytest.importorskip("pandas")
    from pandera.typing import DataFrame as PandasFrame

    found = of(PandasFrame[Model])
    assert (found.contract, found.type_names) == (None, ("pandera.DataFrame",))


def test_elements_of_lists_and_dicts_have_contracts() -> None:
    """Of iterations, of lists of results, of named outputs."""
    for annotation in (list[dy.DataFrame[Flights]], dict[str, LazyFrame[Model]], tuple[dy.DataFrame[Flights], int]):
        assert of(annotation).contract is None
        assert of(annotation).element(0).contract is not None
    assert of(tuple[dy.DataFrame[Flights], int]).element(1).contract is None


def test_a_union_has_the_contract_of_its_members() -> None:
    """One; several classes are refused."""
    both = of(dy.LazyFrame[Flights] | dy.DataFrame[Flights])
    assert set(both.type_names) == {"polars.LazyFrame", "polars.DataFrame"}
    assert both.contract == of_class(Flights)
    several = of(dy.LazyFrame[Flights] | DataFrame[Model]).contract
    assert several is not None
    assert several.refusal == "is one of several for one frame: Flights and Model"


class Two(TypedDict):
    good: dy.LazyFrame[Flights]
    bad: pl.DataFrame | None


def test_fields_of_a_typed_dict_are_told_apart() -> None:
    """A field that is not there is any of them."""
    found = of(Two)
    assert found.type_names == ("dict",)
    assert (found.output("good").contract, found.output("good").optional) == (of_class(Flights), False)
    assert (found.output("bad").contract, found.output("bad").type_names) == (None, ("polars.DataFrame",))
    assert found.output("other") == found.element()


def test_a_model_for_other_frames_is_refused() -> None:
    """pandera has models for pandas, too."""
    pytest.importorskip("pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandera.pandas

        class Other(pandera.pandas.DataFrameModel):
            day: int

    found = of_class(Other)
    assert found is not None
    assert "derive it from `pandera.polars.DataFrameModel`" in found.refusal


def test_a_class_is_told_with_its_line() -> None:
    """In the file where it is, from the package on where it is in one."""
    contract = of_class(Flights)
    assert contract is not None
    assert contract.place is not None
    assert contract.located == f"`Flights` ({__file__}:{contract.place.line})"
    assert contract.told == contract.located
    assert of_class(dy.Int64) is None
    inside = of_class(type("Made", (dy.Schema,), {"__module__": "nowhere"}))
    assert inside is not None
    assert inside.located == inside.told == "`Made`"


def made_with(least: int) -> type[dy.Schema]:
    """One of several classes that have one name."""

    class Made(dy.Schema):
        day = dy.Int64(min=least)

    return Made


def test_classes_that_a_function_makes_are_told_apart() -> None:
    """They have one name, which is no reason to take the first of them for all."""
    one, other = made_with(0), made_with(1)
    frames: Any = dy
    writes: list[Any] = [lambda kind: frames.LazyFrame[kind], lambda kind: Annotated[pl.DataFrame, kind] | None]
    for write in writes:
        assert [found.schema for kind in (one, other) if (found := of(write(kind)).contract)] == [one, other]
    both = of(dy.LazyFrame[one] | dy.LazyFrame[other]).contract  # type: ignore[valid-type]
    assert both is not None
    assert both.refusal.startswith("is one of several")


# With `from __future__ import annotations` dataframely takes no other spelling.
_MADE: Any = type(dy.Collection)
Several = _MADE("Several", (dy.Collection,), {"__annotations__": {"flights": dy.LazyFrame[Flights]}})


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (pa.DataFrameSchema({"day": pa.Column(pl.Date)}), "`pandera.polars.DataFrameModel`"),
        (Flights(), "is an object, not a class: derive one from `dataframely.Schema`"),
        (dy.Date(), "is an object"),
        (Several, "is no class of columns"),
        (dy.Schema, "names no columns: derive a class from `dataframely.Schema`"),
        (pa.DataFrameModel, "names no columns"),
    ],
    ids=["schema", "instance", "column", "collection", "dataframely", "pandera"],
)
def test_what_is_no_class_of_columns_is_refused(written: Any, why: str) -> None:
    """It would be compared with nothing."""
    found = of(Annotated[pl.LazyFrame, written]).contract
    assert found is not None
    assert why in found.refusal


def test_it_is_refused_where_its_library_is_absent_as_well() -> None:
    """A build says the same with and without it."""
    base = type("Collection", (), {STAND_IN_BASE: "dataframely.Collection"})
    refused = of(Annotated[pl.LazyFrame, Several]).contract
    assert refused is not None
    found = of(Annotated[pl.LazyFrame, type("Several", (base,), {})]).contract
    assert found is not None
    assert (found.title, found.refusal) == ("Several", refused.refusal)


class Lost(TypedDict):
    good: Nowhere[Flights]  # type: ignore[name-defined]  # noqa: F821
    bad: pl.DataFrame


def test_a_field_that_cannot_be_resolved_is_told_apart() -> None:
    """Its own annotation has the error; the other one is known."""
    found = of(Lost)
    assert found.type_names == ("dict",)
    assert (found.output("good").text, found.output("bad").type_names) == ("Nowhere[Flights]", ("polars.DataFrame",))
    assert "Nowhere" in str(found.output("good").error)


def test_fields_of_another_module_are_resolved_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TypedDict may have the fields of one that is defined elsewhere."""
    text = "import dataframely as frames\nimport typing\nclass Kind(frames.Schema):\n    n = frames.Int8()\n"
    text += "class Base(typing.TypedDict):\n    good: 'frames.LazyFrame[Kind]'\n"
    (tmp_path / "fields_elsewhere.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    elsewhere = importlib.import_module("fields_elsewhere")

    class Inherited(elsewhere.Base):  # type: ignore[misc, name-defined]
        bad: pl.DataFrame

    assert of(Inherited).output("good").contract == of_class(elsewhere.Kind)
