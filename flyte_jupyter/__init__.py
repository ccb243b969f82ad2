"""flyte_jupyter."""
