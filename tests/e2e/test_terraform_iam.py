"""Terraform keeps users, groups, roles and policies: made, changed and destroyed (docs/terraform.md)."""

from tests.control.harness import ARNS, World, refused
from tests.e2e.terraform import Terraform

CONFIGURATION = """
data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "describe" {
  statement {
    sid       = "Describe"
    actions   = ["ec2:Describe*"%(more_actions)s]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [data.aws_caller_identity.me.account_id]
    }
  }
}

resource "aws_iam_policy" "describe" {
  name   = "describe"
  path   = "/%(policy_path)s/"
  policy = data.aws_iam_policy_document.describe.json
  tags   = { made = "by Terraform" }
}

resource "aws_iam_policy" "bound" {
  name   = "bound"
  policy = data.aws_iam_policy_document.describe.json
}

resource "aws_iam_user" "alice" {
  name                 = "alice"
  path                 = "/staff/"
  force_destroy        = true
  permissions_boundary = %(boundary)s
  tags                 = { team = "%(team)s" }
}

resource "aws_iam_user" "bob" {
  name = "%(bob)s"
}

resource "aws_iam_group" "engineers" {
  name = "%(group)s"
  path = "/%(group_path)s/"
}

resource "aws_iam_role" "deploy" {
  name                 = "%(role)s"
  description          = "%(description)s"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = %(duration)s
  tags                 = { team = "%(team)s" }
}

resource "aws_iam_user_policy" "alice" {
  name   = "%(inline)s"
  user   = aws_iam_user.alice.name
  policy = data.aws_iam_policy_document.describe.json
}

resource "aws_iam_role_policy_attachment" "deploy" {
  role       = aws_iam_role.deploy.name
  policy_arn = aws_iam_policy.describe.arn
}

resource "aws_iam_group_membership" "engineers" {
  name  = "engineers"
  group = aws_iam_group.engineers.name
  users = %(members)s
}

resource "aws_iam_access_key" "alice" {
  user   = %(holder)s
  status = "%(key_status)s"
}

resource "aws_iam_service_linked_role" "endpoints" {
  aws_service_name = "ec2-instance-connect.amazonaws.com"
}

resource "aws_iam_account_alias" "office" {
  account_alias = "office"
}

resource "aws_iam_group_policy" "engineers" {
  name   = "own"
  group  = aws_iam_group.engineers.name
  policy = data.aws_iam_policy_document.describe.json
}

resource "aws_iam_role_policy" "deploy" {
  name   = "own"
  role   = aws_iam_role.deploy.name
  policy = data.aws_iam_policy_document.describe.json
}

resource "aws_iam_group_policy_attachment" "engineers" {
  group      = aws_iam_group.engineers.name
  policy_arn = aws_iam_policy.bound.arn
}

resource "aws_iam_user_policy_attachment" "alice" {
  user       = aws_iam_user.alice.name
  policy_arn = aws_iam_policy.bound.arn
}

resource "aws_iam_user_group_membership" "alice" {
  user   = aws_iam_user.alice.name
  groups = [aws_iam_group.guests.name]
}

resource "aws_iam_group" "guests" {
  name = "guests"
}

data "aws_iam_role" "deploy" {
  name = aws_iam_role.deploy.name
}

data "aws_iam_group" "engineers" {
  group_name = aws_iam_group_membership.engineers.group
}

data "aws_iam_policy" "bound" {
  name = aws_iam_policy.bound.name
}

output "found" {
  value = [data.aws_iam_role.deploy.arn, data.aws_iam_group.engineers.arn, data.aws_iam_policy.bound.arn]
}

output "me" { value = data.aws_caller_identity.me.arn }
output "key" { value = aws_iam_access_key.alice.id }
"""
FIRST = {
    "more_actions": "",
    "policy_path": "teams",
    "bob": "bob",
    "role": "deploy",
    "inline": "own",
    "holder": "aws_iam_user.alice.name",
    "boundary": "null",
    "team": "web",
    "group": "engineers",
    "group_path": "staff",
    "description": "deploys",
    "duration": "3600",
    "members": "[aws_iam_user.alice.name]",
    "key_status": "Active",
}
IN_PLACE = {
    "more_actions": ', "hatchway:ListTunnels"',
    "boundary": "aws_iam_policy.bound.arn",
    "team": "db",
    "bob": "robert",
    "group_path": "people",
    "description": "deploys and rolls back",
    "duration": "7200",
    "members": "[aws_iam_user.alice.name, aws_iam_user.bob.name]",
    "key_status": "Inactive",
}
IMPORTED = {
    "aws_iam_policy.describe": ARNS.managed_policy("describe", "/teams/"),
    "aws_iam_policy.bound": ARNS.managed_policy("bound"),
    "aws_iam_user.alice": "alice",
    "aws_iam_user.bob": "robert",
    "aws_iam_group.engineers": "engineers",
    "aws_iam_group.guests": "guests",
    "aws_iam_role.deploy": "deploy",
    "aws_iam_user_policy.alice": "alice:own",
    "aws_iam_group_policy.engineers": "engineers:own",
    "aws_iam_role_policy.deploy": "deploy:own",
    "aws_iam_user_policy_attachment.alice": f"alice/{ARNS.managed_policy('bound')}",
    "aws_iam_group_policy_attachment.engineers": f"engineers/{ARNS.managed_policy('bound')}",
    "aws_iam_role_policy_attachment.deploy": f"deploy/{ARNS.managed_policy('describe', '/teams/')}",
    "aws_iam_user_group_membership.alice": "alice/guests",
    "aws_iam_account_alias.office": "office",
    "aws_iam_service_linked_role.endpoints": ARNS.service_linked_role(
        "ec2-instance-connect.amazonaws.com", "AWSServiceRoleForEC2InstanceConnect"
    ),
}
"""What the resources that the provider can import are imported by; an access key besides, by its id."""

OTHERS = {"policy_path": "others", "role": "release", "inline": "other", "holder": "aws_iam_user.bob.name"}
UNCHANGED = {
    "aws_iam_account_alias.office",
    "aws_iam_group.guests",
    "aws_iam_group_policy_attachment.engineers",
    "aws_iam_role_policy_attachment.deploy",
    "aws_iam_service_linked_role.endpoints",
    "aws_iam_user_group_membership.alice",
    "aws_iam_user_policy_attachment.alice",
}
"""What `IN_PLACE` leaves as it was."""

REPLACED = {
    "aws_iam_policy.describe",
    "aws_iam_role.deploy",
    "aws_iam_user_policy.alice",
    "aws_iam_role_policy.deploy",
    "aws_iam_role_policy_attachment.deploy",
    "aws_iam_access_key.alice",
}
"""What `OTHERS` cannot change in place."""

DESCRIBE = ARNS.managed_policy("describe", "/teams/")
RESOURCES = {*IMPORTED, "aws_iam_access_key.alice", "aws_iam_group_membership.engineers"}


def test_identities_and_policies_live_their_whole_life(tf: Terraform, terraform_world: World) -> None:
    iam = terraform_world.client("iam")

    tf.write(CONFIGURATION % FIRST)
    made = tf.apply()
    assert made.of("create") == RESOURCES
    assert made.summary["add"] == len(RESOURCES)
    assert made.outputs["me"] == ARNS.root
    assert iam.get_user(UserName="alice")["User"]["Tags"] == [{"Key": "team", "Value": "web"}]
    assert [user["UserName"] for user in iam.get_group(GroupName="engineers")["Users"]] == ["alice"]
    assert tf.plan().planned == frozenset()

    in_place = CONFIGURATION % {**FIRST, **IN_PLACE}
    tf.write(in_place)
    changed = tf.apply()
    assert changed.of("update") == RESOURCES - UNCHANGED
    assert changed.of("replace") == set()
    assert [key["Status"] for key in iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]] == [
        "Inactive"
    ]
    alice = iam.get_user(UserName="alice")["User"]
    assert alice["PermissionsBoundary"]["PermissionsBoundaryArn"] == ARNS.managed_policy("bound")
    assert iam.get_policy(PolicyArn=DESCRIBE)["Policy"]["DefaultVersionId"] == "v2"
    assert iam.get_group(GroupName="engineers")["Group"]["Path"] == "/people/"
    assert iam.get_user(UserName="robert")["User"]["UserName"] == "robert"

    ids = {**IMPORTED, "aws_iam_access_key.alice": made.outputs["key"]}
    tf.forget(*ids)
    blocks = (f'import {{\n  to = {address}\n  id = "{id_}"\n}}\n' for address, id_ in ids.items())
    tf.write("".join(blocks) + in_place)
    imported = tf.apply()
    assert imported.summary["import"] == len(ids)
    # force_destroy is Terraform's own: nothing of what it imports says whether it is wanted.
    assert imported.of("update") == {"aws_iam_user.alice"}
    assert imported.of("create") | imported.of("replace") | imported.of("delete") == set()

    tf.write(CONFIGURATION % {**FIRST, **IN_PLACE, **OTHERS})
    assert tf.apply().of("replace") == REPLACED
    (key,) = iam.list_access_keys(UserName="robert")["AccessKeyMetadata"]
    assert key["Status"] == "Inactive"
    assert iam.list_user_policies(UserName="alice")["PolicyNames"] == ["other"]
    (attached,) = iam.list_attached_role_policies(RoleName="release")["AttachedPolicies"]
    assert attached["PolicyArn"] == ARNS.managed_policy("describe", "/others/")

    # What Terraform knows nothing of goes along: force_destroy.
    iam.create_access_key(UserName="alice")
    iam.add_user_to_group(GroupName="engineers", UserName="alice")
    assert tf.destroy().summary["remove"] == len(RESOURCES)
    for gone in (
        lambda: iam.get_user(UserName="alice"),
        lambda: iam.get_group(GroupName="engineers"),
        lambda: iam.get_role(RoleName="release"),
        lambda: iam.get_policy(PolicyArn=ARNS.managed_policy("bound")),
    ):
        assert refused(gone) == ("NoSuchEntity", 404)
