//! The loop of `watch` and `up`: look, think, act, report.
