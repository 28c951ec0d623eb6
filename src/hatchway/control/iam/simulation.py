"""The policy simulator (AWS: "Testing IAM policies with the IAM policy simulator").

An action is one result of an answer, with what each resource comes to in `ResourceSpecificResults`. Where
resources differ, the result above them is the most restrictive. Columns are AWS's: a statement begins at the
column after its brace, and ends there too.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hatchway.access.authorization import Check, Context
from hatchway.access.context import completed_keys, supposed_keys
from hatchway.access.entities import Entity, SourcedPolicy, caller_keys, find_entity, read_entity_arn
from hatchway.access.identities import StoredIdentities
from hatchway.access.policy_documents import MalformedPolicy
from hatchway.access.simulation import (
    Layer,
    MatchedStatement,
    Outcome,
    Simulated,
    Simulation,
    input_policy,
    keys_asked_about,
    most_restrictive,
)
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.targets import tag_keys
from hatchway.control.operations import Call, Result, operation
from hatchway.protocol import ServiceError

MOST_WORK: Final = 1_000_000
"""What one call may cost, in the prices of `Simulation.prices`: about a second."""

MOST_CHARACTERS: Final = 262_144
"""Of all the policies that one call brings, which are read before anything is priced: two of the largest."""

_ACTION: Final = re.compile(r"[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+")
_DETAIL_NAMES: Final = {
    Layer.IDENTITY: "IAM Policy",
    Layer.BOUNDARY: "Permissions Boundary Policy",
    Layer.GUARDRAIL: "Service Control Policy",
}
_NOT_HERE: Final = {
    "ResourcePolicy": "Hatchway's resources have no policies of their own",
    "ResourceOwner": "all resources are this account's",
    "ResourceHandlingOption": "Hatchway does not run instances",
    "PolicyExclusionList": "an entity is simulated with all of its policies",
}
"""Parameters that are refused rather than ignored, and why."""


@operation("iam", "SimulateCustomPolicy", reads_only=True)
def simulate_custom_policy(call: Call) -> Result:
    """Policies of the request alone. Of the caller that it supposes nothing is looked up."""
    call.authorize(Check("iam:SimulateCustomPolicy"))
    _check_sizes(call)

    levels = call.parameters.get("OrderedOrganizationPolicyInputList") or ()
    simulation = _simulation(
        call,
        _input_policies(call, "PolicyInputList"),
        _input_boundary(call),
        [_level(number, level) for number, level in enumerate(levels, 1)],
    )
    return _simulate(call, simulation, _supposed_caller(call, {}))


@operation("iam", "SimulatePrincipalPolicy", reads_only=True, unsupported={"PolicyExclusionList": ([],)})
def simulate_principal_policy(call: Call) -> Result:
    """All policies of a user, group or role, with further ones of the request's."""
    entity = _authorized_entity(call, "iam:SimulatePrincipalPolicy")
    _check_sizes(call)

    boundary = _input_boundary(call)
    simulation = _simulation(
        call,
        (*entity.identity, *_input_policies(call, "PolicyInputList")),
        entity.boundary if boundary is None else boundary,
        [entity.guardrails] if entity.guardrails else [],
    )
    return _simulate(call, simulation, _supposed_caller(call, entity.keys))


@operation("iam", "GetContextKeysForCustomPolicy", reads_only=True)
def get_context_keys_for_custom_policy(call: Call) -> Result:
    call.authorize(Check("iam:GetContextKeysForCustomPolicy"))
    _check_sizes(call)

    return {"ContextKeyNames": keys_asked_about(_input_policies(call, "PolicyInputList"))}


@operation("iam", "GetContextKeysForPrincipalPolicy", reads_only=True)
def get_context_keys_for_principal_policy(call: Call) -> Result:
    """The keys that the policies of a user, group or role ask about, its permissions boundary among them."""
    entity = _authorized_entity(call, "iam:GetContextKeysForPrincipalPolicy")
    _check_sizes(call)

    boundary = () if entity.boundary is None else (entity.boundary,)
    policies = (*entity.identity, *boundary, *_input_policies(call, "PolicyInputList"))
    return {"ContextKeyNames": keys_asked_about(policies)}


# --- parameters -------------------------------------------------------------------------------------------


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidInput", message)


def _authorized_entity(call: Call, action: str) -> Entity:
    """The entity that `PolicySourceArn` names, once the caller is known to have the permission.

    Raises:
        AccessDenied: it has not.
        ServiceError: the ARN names nothing.
    """
    arn = call.parameters["PolicySourceArn"]
    try:
        kind, account, name = read_entity_arn(arn)
    except ValueError as problem:
        raise _invalid(f"Invalid Entity Arn: {problem}.") from None
    entity = find_entity(StoredIdentities(call.tx, call.arns), kind, name)
    if account != call.arns.account or entity is None or entity.arn != arn:
        entity = None

    call.authorize(Check(action, (arn,), context={} if entity is None else tag_keys(entity.tags)))

    if entity is None:
        raise ServiceError("NoSuchEntity", f"The {kind} with name {name} cannot be found.")
    return entity


def _input_policies(call: Call, parameter: str) -> tuple[SourcedPolicy, ...]:
    return _read_policies(call.parameters.get(parameter) or (), parameter)


def _check_sizes(call: Call) -> None:
    """Refuses more text than is read in reasonable time. Raises ServiceError."""
    levels = call.parameters.get("OrderedOrganizationPolicyInputList") or ()
    listed = [
        *(
            call.parameters.get(name) or ()
            for name in ("PolicyInputList", "PermissionsBoundaryPolicyInputList")
        ),
        *(level.get("ServiceControlPolicyInputList") or () for level in levels),
    ]
    if sum(len(document) for documents in listed for document in documents) > MOST_CHARACTERS:
        raise _invalid(
            f"The policies have more than {MOST_CHARACTERS} characters together: give fewer, or shorter ones."
        )


def _read_policies(documents: Iterable[str], parameter: str) -> tuple[SourcedPolicy, ...]:
    policies = []
    for number, document in enumerate(documents, 1):
        name = f"{parameter}.{number}"
        try:
            policies.append(input_policy(document, name))
        except MalformedPolicy as problem:
            raise _invalid(f"{name}: {problem}") from None
    return tuple(policies)


def _input_boundary(call: Call) -> SourcedPolicy | None:
    policies = _input_policies(call, "PermissionsBoundaryPolicyInputList")
    if len(policies) > 1:
        raise _invalid(
            "PermissionsBoundaryPolicyInputList: give one policy, since an entity has one boundary."
        )
    return policies[0] if policies else None


def _level(number: int, level: Mapping[str, Any]) -> tuple[SourcedPolicy, ...]:
    place = f"OrderedOrganizationPolicyInputList.{number}.ServiceControlPolicyInputList"
    policies = _read_policies(level.get("ServiceControlPolicyInputList") or (), place)
    if not policies:
        raise _invalid(f"{place} is empty: a level without a policy would allow nothing.")
    return policies


def _supposed_caller(call: Call, otherwise: Context) -> Context:
    arn = call.parameters.get("CallerArn")
    if arn is None:
        return otherwise
    try:
        return caller_keys(arn)
    except ValueError as problem:
        raise _invalid(f"CallerArn: {problem}.") from None


def _actions(call: Call) -> list[str]:
    actions = list(dict.fromkeys(call.parameters["ActionNames"]))
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise _invalid(f"ActionNames: '{action}' is not service:action, without wildcards.")
    return actions


def _resources(call: Call) -> list[str]:
    resources = list(dict.fromkeys(call.parameters.get("ResourceArns") or ("*",)))
    for resource in resources:
        if resource != "*" and (not resource.startswith("arn:") or resource.count(":") < 5):
            raise _invalid(f"ResourceArns: '{resource}' is neither an ARN nor *.")
    return resources


def _context(call: Call, supposed: Context) -> Context:
    """The condition keys: those of the supposed caller, and the request's in their place or besides."""
    given: dict[str, str | tuple[str, ...]] = {}
    for number, entry in enumerate(call.parameters.get("ContextEntries") or (), 1):
        name, type_ = entry.get("ContextKeyName"), entry.get("ContextKeyType")
        values = tuple(entry.get("ContextKeyValues") or ())
        if name is None or type_ is None:
            raise _invalid(f"ContextEntries.{number}: give ContextKeyName and ContextKeyType.")
        if name.lower() in (known.lower() for known in given):
            raise _invalid(f"ContextEntries.{number}: {name} is there already.")
        if type_.endswith("List") or not values:
            given[name] = values
        elif len(values) == 1:
            given[name] = values[0]
        else:
            raise _invalid(f"ContextEntries.{number}: several values need the type {type_}List.")
    return completed_keys(given, supposed)


def _simulation(
    call: Call,
    identity: Sequence[SourcedPolicy],
    boundary: SourcedPolicy | None,
    levels: Sequence[Sequence[SourcedPolicy]],
) -> Simulation:
    for parameter, why in _NOT_HERE.items():
        if call.parameters.get(parameter):
            raise _invalid(f"{parameter} is not supported ({why}): leave it out.")
    return Simulation(identity, boundary, levels)


# --- effect and result ------------------------------------------------------------------------------------


def _simulate(call: Call, simulation: Simulation, supposed: Context) -> Result:
    resources, context = _resources(call), _context(call, supposed)
    page = page_of(call, list(enumerate(_actions(call))), key=lambda item: f"{item[0]:06}")
    _check_affordable(simulation, [action for _, action in page.items], resources, context)

    def run(action: str, resource: str) -> Simulated:
        supposed = supposed_keys(
            action, resource, account=call.arns.account, region=call.arns.region, now=call.now
        )
        return simulation.run(action, resource, completed_keys(context, supposed))

    results = [_result(action, [run(action, resource) for resource in resources]) for _, action in page.items]
    return {"EvaluationResults": results, **page.result()}


def _check_affordable(
    simulation: Simulation, actions: Sequence[str], resources: Sequence[str], context: Context
) -> None:
    """Refuses, before the first answer, what would keep others waiting. Raises ServiceError."""
    spent = 0
    for number, price in enumerate(simulation.prices(actions, resources, context)):
        spent += price
        if spent > MOST_WORK:
            cut = (
                f"Give MaxItems, at most {number - 1}, and ask for the next page by its Marker"
                if number > 1
                else "Give fewer ResourceArns, policies with fewer statements and patterns (those with ? or"
                " variables cost most), or shorter ContextKeyValues"
            )
            raise _invalid(f"The simulation is too large. {cut}.")


def _result(action: str, simulated: Sequence[Simulated]) -> dict[str, Any]:
    everything = len(simulated) == 1 and simulated[0].resource == "*"
    outcome = most_restrictive(one.outcome for one in simulated)
    layers = {
        layer: most_restrictive(one.layers[layer] for one in simulated) for layer in simulated[0].layers
    }
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": simulated[0].resource if len(simulated) == 1 else "*",
        "EvalDecision": str(outcome),
        **_reasons([one for one in simulated if one.outcome is outcome], layers),
        "MissingContextValues": list(dict.fromkeys(key for one in simulated for key in one.missing)),
    }
    if Layer.GUARDRAIL in layers:
        allowed = layers[Layer.GUARDRAIL] is Outcome.ALLOWED
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": allowed}
    if not everything:
        result["ResourceSpecificResults"] = [
            {
                "EvalResourceName": one.resource,
                "EvalResourceDecision": str(one.outcome),
                **_reasons([one], one.layers),
                "MissingContextValues": list(one.missing),
            }
            for one in simulated
        ]
    return result


def _reasons(simulated: Iterable[Simulated], layers: Mapping[Layer, Outcome]) -> dict[str, Any]:
    """The statements that determined the outcome, and what each layer said."""
    matched = dict.fromkeys(statement for one in simulated for statement in one.matched)
    reasons: dict[str, Any] = {
        "MatchedStatements": [_matched_statement(statement) for statement in matched],
        "EvalDecisionDetails": {_DETAIL_NAMES[layer]: str(outcome) for layer, outcome in layers.items()},
    }
    if Layer.BOUNDARY in layers:
        allowed = layers[Layer.BOUNDARY] is Outcome.ALLOWED
        reasons["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    return reasons


def _matched_statement(statement: MatchedStatement) -> dict[str, Any]:
    start, end = statement.span
    return {
        "SourcePolicyId": statement.policy.id,
        "SourcePolicyType": statement.policy.type,
        "StartPosition": {"Line": start.line, "Column": start.column + 1},
        "EndPosition": {"Line": end.line, "Column": end.column},
    }
