"""Archives that were made to harm, each by one small function: `tests.portable.test_hostile` tries all."""
