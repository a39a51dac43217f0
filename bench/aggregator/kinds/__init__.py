"""One file for each kind of figure: TITLE, COLUMNS (the series' titles) and run(context), which gives the rows; None when
what it needs is not there."""
import importlib

NAMES = ("limit", "fan_out", "interests", "instructions", "idle", "arrival", "resume", "burst", "flood", "bystander")


def module(name):
    return importlib.import_module(f"kinds.{name}")
