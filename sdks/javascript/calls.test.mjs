// The AWS SDK for JavaScript, version 3, as an account's people use it: run by sdks/test_javascript.py.
//
// From the environment: AWS_ENDPOINT_URL, AWS_REGION, the root user's keys, NODE_EXTRA_CA_CERTS, and ids of the fleet.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CloudTrailClient, paginateLookupEvents } from "@aws-sdk/client-cloudtrail";
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateInstanceConnectEndpointCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateTagsCommand,
  CreateVpcCommand,
  DeleteInstanceConnectEndpointCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DeleteVpcCommand,
  DescribeInstancesCommand,
  DescribeVpcAttributeCommand,
  EC2Client,
  paginateDescribeInstanceConnectEndpoints,
  paginateDescribeInstances,
  paginateDescribeSecurityGroupRules,
  paginateDescribeTags,
  waitUntilVpcAvailable,
} from "@aws-sdk/client-ec2";
import { EC2InstanceConnectClient, SendSSHPublicKeyCommand } from "@aws-sdk/client-ec2-instance-connect";
import {
  AttachRolePolicyCommand,
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  GetUserCommand,
  IAMClient,
  NoSuchEntityException,
  PutUserPolicyCommand,
  paginateListUsers,
  waitUntilUserExists,
} from "@aws-sdk/client-iam";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { fromTemporaryCredentials } from "@aws-sdk/credential-providers";

const { ACCOUNT, INSTANCE, SUBNET, PUBLIC_KEY } = process.env;
const ec2 = new EC2Client();
const iam = new IAMClient();

async function all(pages, list) {
  const found = [];
  for await (const page of pages) found.push(...(page[list] ?? []));
  return found;
}

async function refusal(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
  assert.fail("it was not refused");
}

test("who calls", async () => {
  const { Arn, Account } = await new STSClient().send(new GetCallerIdentityCommand({}));
  assert.deepEqual([Arn, Account], [`arn:aws:iam::${ACCOUNT}:root`, ACCOUNT]);
});

test("instances come in pages, and by filters", async () => {
  const reservations = await all(paginateDescribeInstances({ client: ec2, pageSize: 5 }, {}), "Reservations");
  const instances = reservations.flatMap((reservation) => reservation.Instances);
  assert.ok(instances.length >= 2);
  const answer = await ec2.send(
    new DescribeInstancesCommand({ Filters: [{ Name: "tag:Name", Values: ["web-*"] }] }),
  );
  assert.deepEqual(answer.Reservations.map((reservation) => reservation.Instances[0].InstanceId), [INSTANCE]);
  const none = await refusal(ec2.send(new DescribeInstancesCommand({ InstanceIds: ["i-00000000000000fff"] })));
  assert.equal(none.name, "InvalidInstanceID.NotFound");
});

test("an endpoint's life", async () => {
  const tags = [{ ResourceType: "instance-connect-endpoint", Tags: [{ Key: "env", Value: "<dev> & 'test'" }] }];
  const { InstanceConnectEndpoint: made } = await ec2.send(
    new CreateInstanceConnectEndpointCommand({ SubnetId: SUBNET, ClientToken: "once", TagSpecifications: tags }),
  );
  const found = await all(
    paginateDescribeInstanceConnectEndpoints({ client: ec2 }, { Filters: [{ Name: "subnet-id", Values: [SUBNET] }] }),
    "InstanceConnectEndpoints",
  );
  assert.deepEqual(found.map((one) => one.InstanceConnectEndpointId), [made.InstanceConnectEndpointId]);
  assert.ok(found[0].CreatedAt instanceof Date);
  assert.deepEqual(found[0].Tags, [{ Key: "env", Value: "<dev> & 'test'" }]);
  await ec2.send(
    new DeleteInstanceConnectEndpointCommand({ InstanceConnectEndpointId: made.InstanceConnectEndpointId }),
  );
});

test("a network's life", async () => {
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: "10.77.0.0/16" }));
  const { VpcId } = Vpc;
  await waitUntilVpcAvailable({ client: ec2, maxWaitTime: 20 }, { VpcIds: [VpcId] });
  const { Subnet } = await ec2.send(new CreateSubnetCommand({ VpcId, CidrBlock: "10.77.1.0/24" }));
  const { GroupId } = await ec2.send(
    new CreateSecurityGroupCommand({ VpcId, GroupName: "lab", Description: "Lab" }),
  );
  const ssh = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "10.77.0.0/16" }] };
  const { SecurityGroupRules } = await ec2.send(
    new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [ssh] }),
  );
  const filters = { Filters: [{ Name: "group-id", Values: [GroupId] }] };
  const rules = await all(paginateDescribeSecurityGroupRules({ client: ec2 }, filters), "SecurityGroupRules");
  const ids = rules.filter((rule) => !rule.IsEgress).map((rule) => rule.SecurityGroupRuleId);
  assert.deepEqual(ids, [SecurityGroupRules[0].SecurityGroupRuleId]);
  await ec2.send(new CreateTagsCommand({ Resources: [VpcId], Tags: [{ Key: "env", Value: "<lab>" }] }));
  const tagged = { Filters: [{ Name: "resource-id", Values: [VpcId] }] };
  assert.deepEqual(await all(paginateDescribeTags({ client: ec2 }, tagged), "Tags"), [
    { Key: "env", ResourceId: VpcId, ResourceType: "vpc", Value: "<lab>" },
  ]);
  const attribute = await ec2.send(new DescribeVpcAttributeCommand({ VpcId, Attribute: "enableDnsSupport" }));
  assert.equal(typeof attribute.EnableDnsSupport.Value, "boolean");
  const inUse = await refusal(ec2.send(new DeleteVpcCommand({ VpcId })));
  assert.equal(inUse.name, "DependencyViolation");
  await ec2.send(new DeleteSecurityGroupCommand({ GroupId }));
  await ec2.send(new DeleteSubnetCommand({ SubnetId: Subnet.SubnetId }));
  await ec2.send(new DeleteVpcCommand({ VpcId }));
});

test("a dry run says that the call would succeed", async () => {
  const answer = await refusal(ec2.send(new DescribeInstancesCommand({ DryRun: true })));
  assert.equal(answer.name, "DryRunOperation");
});

test("a user's life, with a key and a policy", async () => {
  const UserName = "javascript";
  await iam.send(new CreateUserCommand({ UserName, Tags: [{ Key: "team", Value: "red = blue" }] }));
  await waitUntilUserExists({ client: iam, maxWaitTime: 20 }, { UserName });
  const statement = { Effect: "Allow", Action: "ec2:DescribeInstances", Resource: "*" };
  const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: statement });
  await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "look", PolicyDocument }));
  const { User } = await iam.send(new GetUserCommand({ UserName }));
  assert.deepEqual(User.Tags, [{ Key: "team", Value: "red = blue" }]);
  const users = await all(paginateListUsers({ client: iam, pageSize: 1 }, {}), "Users");
  assert.ok(users.some((user) => user.UserName === UserName));

  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  const credentials = { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
  const own = new EC2Client({ credentials });
  assert.ok((await own.send(new DescribeInstancesCommand({}))).Reservations.length);
  const denied = await refusal(new IAMClient({ credentials }).send(new GetUserCommand({ UserName })));
  assert.equal(denied.name, "AccessDenied");

  await iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId: AccessKey.AccessKeyId }));
  await iam.send(new DeleteUserPolicyCommand({ UserName, PolicyName: "look" }));
  await iam.send(new DeleteUserCommand({ UserName }));
  assert.ok((await refusal(iam.send(new GetUserCommand({ UserName })))) instanceof NoSuchEntityException);
});

test("a public key is pushed", async () => {
  const answer = await new EC2InstanceConnectClient().send(
    new SendSSHPublicKeyCommand({ InstanceId: INSTANCE, InstanceOSUser: "ec2-user", SSHPublicKey: PUBLIC_KEY }),
  );
  assert.equal(answer.Success, true);
});

test("a role is assumed, and what it does is in the trail", async () => {
  const UserName = "caller";
  const { User } = await iam.send(new CreateUserCommand({ UserName }));
  const trust = { Effect: "Allow", Principal: { AWS: User.Arn }, Action: "sts:AssumeRole" };
  const { Role } = await iam.send(
    new CreateRoleCommand({
      RoleName: "on-call",
      AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: trust }),
    }),
  );
  const statement = { Effect: "Allow", Action: ["ec2:Describe*", "cloudtrail:LookupEvents"], Resource: "*" };
  const { Policy } = await iam.send(
    new CreatePolicyCommand({
      PolicyName: "look",
      PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: statement }),
    }),
  );
  await iam.send(new AttachRolePolicyCommand({ RoleName: "on-call", PolicyArn: Policy.Arn }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  const credentials = fromTemporaryCredentials({
    masterCredentials: { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey },
    params: { RoleArn: Role.Arn, RoleSessionName: "javascript" },
  });
  const { Arn } = await new STSClient({ credentials }).send(new GetCallerIdentityCommand({}));
  assert.equal(Arn, `arn:aws:sts::${ACCOUNT}:assumed-role/on-call/javascript`);
  assert.ok((await new EC2Client({ credentials }).send(new DescribeInstancesCommand({}))).Reservations.length);
  const denied = await refusal(new IAMClient({ credentials }).send(new GetUserCommand({ UserName })));
  assert.equal(denied.name, "AccessDenied");

  const LookupAttributes = [{ AttributeKey: "EventName", AttributeValue: "AssumeRole" }];
  const events = await all(
    paginateLookupEvents({ client: new CloudTrailClient({ credentials }) }, { LookupAttributes }),
    "Events",
  );
  assert.deepEqual([...new Set(events.map((event) => event.Username))], [UserName]);
  assert.equal(JSON.parse(events[0].CloudTrailEvent).requestParameters.roleArn, Role.Arn);
  assert.ok(events[0].EventTime instanceof Date);
});
