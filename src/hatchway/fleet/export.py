"""The account as a fleet file.

Applied to the same account it changes nothing, and it makes the same of an empty one. What the service makes
for itself (its role) is left out, and so is what a file cannot hold: access keys, host tokens, former
versions of policies.
"""

from collections import defaultdict
from typing import Any, Final

import yaml

from hatchway.domain.network import DEFAULT_GROUP_NAME
from hatchway.fleet.account_view import AccountView
from hatchway.fleet.file_form import FileForms, Form, without_defaults


def export_view(view: AccountView) -> str:
    """The fleet file of a view, as YAML."""
    return yaml_text(account_form(view))


def yaml_text(form: Form) -> str:
    """A fleet file's values as YAML."""
    return yaml.dump(
        form,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=110,
    )


def account_form(view: AccountView) -> Form:
    """The fleet file of a view, as values."""
    forms = FileForms(view)
    rows = view.rows
    account = forms.account()
    sections: Form = {
        "account": view.account.id,
        "account_alias": account["account_alias"],
        "region": view.account.region,
        "quotas": without_defaults(account["quotas"]),
        "end_tunnels_with_credentials": account["end_tunnels_with_credentials"],
        "vpcs": _vpcs(view, forms),
        "instances": {
            instance.name: without_defaults(forms.instance(instance))
            for instance in _by_name(rows.instances.values())
        },
        "endpoints": {
            endpoint.name or endpoint.id: without_defaults(forms.endpoint(endpoint))
            for endpoint in sorted(rows.endpoints.values(), key=lambda noun: noun.name or noun.id)
        },
        "policies": {
            policy.name: _policy(without_defaults(forms.policy(policy)))
            for policy in _by_name(rows.managed_policies.values())
        },
        "groups": {
            group.name: without_defaults(forms.group(group)) for group in _by_name(rows.groups.values())
        },
        "users": {user.name: without_defaults(forms.user(user)) for user in _by_name(rows.users.values())},
        "roles": {
            role.name: without_defaults(forms.role(role))
            for role in _by_name(rows.roles.values())
            if role.linked_service is None
        },
        "guardrails": account["guardrails"],
    }
    return {key: value for key, value in sections.items() if value}


def _by_name(nouns: Any) -> list[Any]:
    return sorted(nouns, key=lambda noun: noun.name)


def _vpcs(view: AccountView, forms: FileForms) -> Form:
    subnets: defaultdict[str, Form] = defaultdict(dict)
    for subnet in _by_name(view.rows.subnets.values()):
        subnets[subnet.vpc_id][subnet.name] = without_defaults(forms.subnet(subnet))
    groups: defaultdict[str, Form] = defaultdict(dict)
    for group in _by_name(view.rows.security_groups.values()):
        if not forms.is_implied(group):
            groups[group.vpc_id][group.name] = _with_own_description(group, forms)
    return {
        vpc.name: {
            **without_defaults(forms.vpc(vpc)),
            **({"subnets": subnets[vpc.id]} if subnets[vpc.id] else {}),
            **({"security_groups": groups[vpc.id]} if groups[vpc.id] else {}),
        }
        for vpc in _by_name(view.rows.vpcs.values())
    }


def _with_own_description(group: Any, forms: FileForms) -> Form:
    """A default group that is restated has AWS's description unless the file gives one, so it is given."""
    form = without_defaults(forms.security_group(group))
    return {"description": group.description, **form} if group.name == DEFAULT_GROUP_NAME else form


def _policy(form: Form) -> Any:
    """Just the document, where there is nothing else to say."""
    return form["document"] if form.keys() == {"document"} else form


# PyYAML may be built without libyaml.
_BASE: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_BASE):  # type: ignore[misc]
    """Writes texts of several lines, policies above all, as they are rather than quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
