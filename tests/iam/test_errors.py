"""What is wrong with a document or a request, as a message and as fields."""

from hatchway.iam import AmbiguousContext, MalformedPolicy, PolicyTooLarge


def test_a_malformed_policy_is_told_by_place_and_problem() -> None:
    error = MalformedPolicy("Statement[1].Sid", "is not a text")
    assert str(error) == "Statement[1].Sid: is not a text"
    assert (error.place, error.problem) == ("Statement[1].Sid", "is not a text")


def test_a_policy_that_is_too_large_is_told_with_its_size_and_quota() -> None:
    error = PolicyTooLarge(2049, 2048)
    assert str(error) == "the policy has 2049 characters, white space not counted; the quota is 2048"
    assert (error.size, error.quota) == (2049, 2048)


def test_keys_that_are_one_to_policies_are_told_as_the_request_spells_them() -> None:
    error = AmbiguousContext(("aws:UserName", "aws:username"))
    assert str(error) == "the context has the key aws:username more than once, in different cases"
    assert error.keys == ("aws:UserName", "aws:username")
