"""A whole file, resolved by itself."""

from tests.fleet.accounts import fleet

from hatchway.fleet.resolution import problems_by_itself, references_outside

OFFICE = "vpcs: {office: {cidr: 10.0.0.0/16, subnets: {web: {cidr: 10.0.1.0/24}}}}\n"


def test_a_reference_that_leads_out_of_the_file_is_no_problem_but_told() -> None:
    declared = fleet(OFFICE + "instances: {a: {subnet: lab/web, private_ip: 10.0.1.5}}\nguardrails: [rail]")
    assert problems_by_itself(declared) == []
    assert [str(question) for question in references_outside(declared)] == [
        "instances.a.subnet: subnet 'lab/web' is not in the file",
        "guardrails[0]: policy 'rail' is not in the file",
    ]


def test_a_file_that_stands_by_itself_leaves_nothing_open() -> None:
    declared = fleet(OFFICE + "instances: {a: {subnet: office/web, private_ip: 10.0.1.5}}")
    assert problems_by_itself(declared) == references_outside(declared) == []
