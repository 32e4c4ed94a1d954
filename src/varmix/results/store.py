"""Fits as JSON: everything reported, and what predictions need. Strict JSON, so that other languages read it too."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from varmix.errors import FileFormatError, MissingFileError, OptionError
from varmix.inference.wald import LEVEL
from varmix.iteration import Certificate, Status
from varmix.tables.identifiers import label_text

if TYPE_CHECKING:
    from varmix.results.fit import Fit

FORMAT = "varmix fit"
VERSION = 1
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def as_text(fit: Fit, *, timings: bool = True) -> str:
    """The JSON of a fit; without `timings`, what two runs of the same call agree in."""
    report = fit.report
    tables = {name: fit.table(name) for name in report.saved_tables}
    if not timings:
        tables = {name: table.drop(columns="seconds", errors="ignore") for name, table in tables.items()}
    document = {
        "format": FORMAT,
        "version": VERSION,
        "kind": report.kind,
        "status": report.status.name,
        "certificate": {
            "projected_gradient": report.certificate.projected_gradient,
            "newton_decrement": report.certificate.newton_decrement,
            "on_boundary": list(report.certificate.on_boundary),
        },
        "facts": dict(report.facts),
        "titles": dict(report.titles),
        "tables": tables,
        "tidy": report.tidy(LEVEL),
        "prediction": dict(report.prediction_state()),
    }
    return json.dumps(_encode(document), indent=1, allow_nan=False)


def save(fit: Fit, path: str | PathLike[str]) -> None:
    """Write a fit; the file appears whole or not at all.

    Raises OptionError for a path that is a folder or cannot be written to, MissingFileError for a missing folder.
    """
    target = Path(path)
    if not target.name or _is_folder(target):
        raise OptionError(f"'{path}' is a folder. Give the path of a file, for instance '{target / 'fit.json'}'.")
    if not _is_folder(target.parent):
        raise MissingFileError(f"There is no folder '{target.parent}' to save '{target.name}' in. Make it first.")
    text = as_text(fit)
    partial = target.with_name(target.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)
    except (OSError, ValueError) as error:
        raise OptionError(f"'{target}' cannot be written ({error}). Give another path.") from error
    finally:
        with suppress(OSError, ValueError):
            partial.unlink(missing_ok=True)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that is too long, say: writing tells
        return False


def load(path: str | PathLike[str]) -> Fit:
    """Read a fit that was saved.

    Raises MissingFileError, and FileFormatError for anything that is not a fit or comes from a newer version.
    """
    from varmix.results.fit import Fit
    from varmix.results.stored import StoredReport

    source = Path(path)
    if not source.is_file():
        raise MissingFileError(f"There is no file '{source}'. Give the path that fit.save() was given.")
    try:
        document = json.loads(source.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FileFormatError(f"'{source}' is not JSON ({error}). Give a file written by fit.save().") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FileFormatError(f"'{source}' is not a saved fit. Give a file written by fit.save().")
    if not isinstance(document.get("version"), int) or document["version"] > VERSION:
        raise FileFormatError(
            f"'{source}' has format version {document.get('version')}, this varmix reads up to {VERSION}. "
            "Update varmix."
        )
    try:
        decoded = _decode(document)
        certificate = decoded["certificate"]
        _check_parts(decoded)
        return Fit(
            StoredReport(
                kind=decoded["kind"],
                status=Status[decoded["status"]],
                certificate=Certificate(
                    projected_gradient=certificate["projected_gradient"],
                    newton_decrement=certificate["newton_decrement"],
                    on_boundary=tuple(certificate["on_boundary"]),
                ),
                facts=decoded["facts"],
                titles=decoded["titles"],
                tables=decoded["tables"],
                tidy=decoded["tidy"],
                prediction=decoded["prediction"],
            )
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"'{source}' is a damaged fit ({error!r}). Save it again.") from error


def _check_parts(decoded: Mapping[str, Any]) -> None:
    """Raise TypeError for parts that are not what a report holds."""
    for part in ("facts", "titles", "tables", "prediction"):
        if not isinstance(decoded[part], dict):
            raise TypeError(f"'{part}' is not an object")
    if not set(decoded["titles"]) <= set(decoded["tables"]):
        raise TypeError("a title has no table")
    for name, table in {**decoded["tables"], "tidy": decoded["tidy"]}.items():
        if not isinstance(table, pd.DataFrame):
            raise TypeError(f"table '{name}' is not a table")


def _encode(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return {
            "frame": {
                "index": _encode(_index_columns(value)),
                "columns": [[str(name), _dtype(value[name]), _encode(value[name].tolist())] for name in value.columns],
                "rows": len(value),
            }
        }
    if isinstance(value, np.ndarray):
        return {"array": _encode(value.tolist()), "dtype": "int" if value.dtype.kind in "iu" else "float"}
    if isinstance(value, Mapping):
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else {"number": str(float(value))}
    if value is None or isinstance(value, (str, int)):
        return value
    return label_text(value) or None  # dates, UUIDs and the like, and what is missing among them


def _index_columns(frame: pd.DataFrame) -> list[Any] | None:
    if isinstance(frame.index, pd.RangeIndex):
        return None
    return [[name, frame.index.get_level_values(level).tolist()] for level, name in enumerate(frame.index.names)]


def _dtype(column: pd.Series[Any]) -> str:
    if isinstance(column.dtype, pd.StringDtype):
        return "text"
    return {"f": "float", "i": "int", "u": "int", "b": "bool"}.get(column.dtype.kind, "object")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"number"}:
        return NOT_FINITE[value["number"]]
    if set(value) == {"array", "dtype"}:
        return np.array(_decode(value["array"]), dtype={"int": np.intp, "float": np.float64}[value["dtype"]])
    if set(value) == {"frame"}:
        return _decode_frame(value["frame"])
    return {key: _decode(item) for key, item in value.items()}


def _whole(values: list[Any]) -> Any:
    """Labels may be integers that int64 does not hold."""
    return np.uint64 if any(isinstance(item, int) and item > np.iinfo(np.int64).max for item in values) else np.int64


def _decode_frame(parts: dict[str, Any]) -> pd.DataFrame:
    columns = {}
    for name, dtype, values in parts["columns"]:
        kind = {"float": float, "int": _whole(values), "bool": bool, "text": str}.get(dtype, object)
        columns[name] = pd.Series(_decode(values), dtype=kind)
    frame = pd.DataFrame(columns, index=pd.RangeIndex(parts["rows"]))
    index = _decode(parts["index"])
    if index is not None:
        arrays, names = [values for _, values in index], [name for name, _ in index]
        frame.index = pd.Index(arrays[0], name=names[0]) if len(index) == 1 else pd.MultiIndex.from_arrays(
            arrays, names=names
        )  # fmt: skip
    return frame
