"""One noun per file: a pure function, a thin DoFn or CombineFn, a PTransform."""
