"""Score distillation: a frozen prior turned into a tool. Knows a renderer and a prior, not their insides."""
