"""Tables of any make as pandas frames, their columns, and the names in them as numbers."""

import json
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["as_frame", "in_order", "one_column", "plain_texts", "positions", "text_of"]

_READS = "CSV (.csv, .tsv), JSON lines (.jsonl, .ndjson, .json) or Parquet (.parquet)"


def as_frame(source, name):
    """Return a table as a pandas frame: a file, or a frame of pandas, polars, pyarrow or datasets."""
    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, str | Path):
        return _read_file(Path(source), name)
    if isinstance(source, dict) and source and all(hasattr(part, "column_names") for part in source.values()):
        raise ValueError(
            f"{name}: expected one table, got the splits {', '.join(map(str, source))}; give one, such as "
            f"{name}[{next(iter(source))!r}]"
        )
    if hasattr(source, "collect") and not hasattr(source, "to_pandas"):
        source = source.collect()  # a lazy frame of polars
    if hasattr(source, "to_pandas"):
        # polars, pyarrow, cudf and Hugging Face's datasets all offer it; some of them by way of pyarrow.
        try:
            frame = source.to_pandas()
        except ImportError as error:
            kind = f"{type(source).__module__.partition('.')[0]}.{type(source).__name__}"
            raise ValueError(
                f"{name}: expected the packages that turn a {kind} into a pandas frame, got none of "
                f"{error.name or error}; install it (pip install pyarrow), or write the table to a file"
            ) from error
        if isinstance(frame, pd.DataFrame):
            return frame
    if isinstance(source, dict) or (isinstance(source, list) and all(isinstance(row, dict) for row in source)):
        try:
            return pd.DataFrame(source)
        except ValueError as error:
            raise ValueError(
                f"{name}: expected columns of one length in the dictionary, got others ({error})"
            ) from error
    raise ValueError(
        f"{name}: expected a pandas, polars or pyarrow table, a datasets.Dataset, a list of dictionaries, or the path "
        f"of a file: {_READS}; got {type(source).__name__}"
    )


def _read_file(path, name):
    if not path.is_file():
        raise ValueError(f"{name}: expected a file, got {path}")
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv", ".txt"):
        return _read_csv(path, name)
    if kind in (".jsonl", ".ndjson", ".json"):
        text = path.read_text(encoding="utf-8-sig")
        try:
            whole = text.lstrip().startswith("[")
            rows = json.loads(text) if whole else [json.loads(line) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise ValueError(f"{name}: expected JSON, one object a line, in {path}, got {error}") from error
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{name}: expected objects, one a row, in {path}, got something else")
        return pd.DataFrame(rows)
    if kind in (".parquet", ".pq"):
        try:
            return pd.read_parquet(path)
        except ImportError as error:
            raise ValueError(f"{name}: expected the package pyarrow, which reads Parquet, got none") from error
    raise ValueError(f"{name}: expected a file of {_READS}, got {path.name}")


def _read_csv(path, name):
    """Return a CSV file with every value as text, so that an id keeps its zeros; only what is empty is missing."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            header = file.readline().rstrip("\r\n")
        if not header:
            raise ValueError(f"{name}: expected a header with the names of the columns in {path}, got an empty file")
        separator = max(",;\t", key=header.count)
        options = {"sep": separator, "dtype": str, "keep_default_na": False, "na_values": [""], "encoding": "utf-8-sig"}
        names = next(iter(pd.read_csv(path, header=None, nrows=1, **options).values))
        twice = pd.Index(names).duplicated()
        if twice.any():
            raise ValueError(f"{name}: expected every column once in {path}, got {names[twice.argmax()]!r} twice")
        frame = _read_fast(path, separator, names)
        if frame is not None:
            return frame
        with warnings.catch_warnings():
            # Of rows that are longer than the header pandas would drop the end.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, index_col=False, **options)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise ValueError(
            f"{name}: expected a table with as many values in every row, in {path}, got {error}"
        ) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: expected text in UTF-8 in {path}, got {error}") from error


def _read_fast(path, separator, names):
    """Return the file as pyarrow reads it, in a fifth of the time; None without pyarrow, or where it sees a mistake."""
    try:
        arrow, csv = import_module("pyarrow"), import_module("pyarrow.csv")  # not needed: pandas reads the same
    except ImportError:
        return None
    options = {
        "read_options": csv.ReadOptions(use_threads=False),
        "parse_options": csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        "convert_options": csv.ConvertOptions(
            column_types=dict.fromkeys(names, arrow.string()), null_values=[""], strings_can_be_null=True
        ),
    }
    try:
        return csv.read_csv(path, **options).to_pandas()
    except arrow.ArrowInvalid:
        return None


def one_column(frame, column, name):
    """Return a column of a frame; ValueError where it is missing or stands there twice."""
    if column not in frame.columns:
        raise ValueError(f"{name}: expected a column {column!r}, got {', '.join(map(repr, frame.columns))}"[:600])
    found = frame[column]
    if found.ndim > 1:
        raise ValueError(
            f"{name}: expected one column {column!r}, got {found.shape[1]} of that name; rename or drop one"
        )
    return found


def in_order(name, label, *columns):
    """Return for every column the numbers of its names, and the different names of all of them in sorted order."""
    whole = columns[0] if len(columns) == 1 else pd.concat(columns, ignore_index=True)
    try:
        codes, found = pd.factorize(whole)
        names = list(pd.Index(found))
        order = sorted(range(len(names)), key=names.__getitem__)
    except TypeError as error:
        raise ValueError(
            f"{name}: expected names of one type in column {label}, got a mixture ({error}); make them text"
        ) from error
    number = np.empty(len(names), dtype=np.int64)
    number[order] = np.arange(len(names))
    parts = np.split(number[codes], np.cumsum([len(column) for column in columns])[:-1])
    return parts, [names[i] for i in order]


def text_of(value):
    """Return a text as it is; of chat messages, one or several, what they say, in their order; of nothing None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        inside = next((value[name] for name in ("messages", "content", "text") if name in value), None)
        return text_of(inside)
    if isinstance(value, list | tuple | np.ndarray):
        return "\n\n".join(filter(None, map(text_of, value))) or None
    return None if value != value else str(value)


def plain_texts(column):
    """Return a column with chat messages as texts; any other column as it is."""
    known = column.dropna()
    nested = len(known) and isinstance(known.iloc[0], list | tuple | dict | np.ndarray)
    return column.map(text_of) if nested else column


def positions(items, features):
    """Return for every name its row among the features, the features' names, and their rows as an array."""
    if isinstance(features, dict):
        # Rows of any make, such as a Series of polars, and not only those that pandas knows.
        rows = {item: row if isinstance(row, dict | pd.Series) else np.asarray(row) for item, row in features.items()}
        features = pd.DataFrame.from_dict(rows, orient="index")
    if not isinstance(features, pd.DataFrame):
        kind = f"{type(features).__module__.partition('.')[0]}.{type(features).__name__}"
        how = "; give features.to_pandas().set_index(...) with the column of names" * hasattr(features, "to_pandas")
        raise ValueError(
            f"features: expected a pandas frame indexed by the items, or a dictionary of rows, got {kind}{how}"
        )
    twice = features.index.duplicated()
    if twice.any():
        raise ValueError(f"features: expected one row an item, got several for {features.index[twice.argmax()]!r}")
    place = {item: i for i, item in enumerate(features.index)}
    absent = [item for item in items if item not in place]
    if absent:
        raise ValueError(f"features: expected a row for every item, got none for {absent[0]!r}")
    at = np.array([place[item] for item in items], dtype=np.int64)
    return at, list(features.index), features.to_numpy()
