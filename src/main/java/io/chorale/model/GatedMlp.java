package io.chorale.model;

import io.chorale.kernel.Linear;

/** {@code down(silu(gate x) * up x)}, Shazeer 2020, arXiv:2002.05202. */
record GatedMlp(Linear gate, Linear up, Linear down) {}
