"""What is said of the values of several rounds."""
import math
from statistics import mean, median, stdev

# Two-sided 95 % quantile of Student's t, by degrees of freedom; 1.96 for more.
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201,
       12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093, 20: 2.086, 21: 2.080,
       22: 2.074, 23: 2.069, 24: 2.064, 25: 2.060, 26: 2.056, 27: 2.052, 28: 2.048, 29: 2.045, 30: 2.042}


def spread(values):
    """Median, minimum and maximum; nothing of no values."""
    found = [value for value in values if value is not None]
    return {"median": median(found), "min": min(found), "max": max(found), "rounds": len(found)} if found else None


def paired_ratios(ours, theirs):
    """Of the rounds in which both have a value that a ratio can be made of."""
    return [a / b for a, b in zip(ours, theirs) if a and b]


def ratio(ours, theirs):
    """The spread of the paired ratios and, from two rounds on, the 95 % interval of their geometric mean: Student's t over
    the logarithms, since a ratio of two is as far from one as a half is."""
    ratios = paired_ratios(ours, theirs)
    out = spread(ratios)
    if out and len(ratios) > 1:
        logs = [math.log(one) for one in ratios]
        half = T95.get(len(logs) - 1, 1.96) * stdev(logs) / math.sqrt(len(logs))
        out["low"], out["high"] = math.exp(mean(logs) - half), math.exp(mean(logs) + half)
    return out
