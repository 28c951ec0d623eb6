"""What a user's machine is given to reach a server: a profile, a CA to trust, a bundle of both.

| module | holds |
|---|---|
| `aws_profile` | writing a profile into the shared configuration files of AWS tools, the rest left as it is |
| `trust` | adding a CA to the system's trust store, and taking it out |
| `ca_update` | a profile's CAs brought up to date, while one takes another's place |
| `aws_model` | the model of our own service, for boto3 and the AWS CLI |
| `shell_completion` | completion for bash, zsh and fish, put in place and taken away |
| `bundle` | both with a script and instructions, as one file to hand to the user |

It runs on a server too, which makes bundles there. What cannot be done is a `CommandFailed` of
`hatchway.errors`.
"""
