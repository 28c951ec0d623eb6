"""Fleet files made of what else lists hosts. Pure: each reader takes contents and gives what it found.

| module | from |
|---|---|
| `ansible` | an inventory: INI, YAML, or what `ansible-inventory --list` prints |
| `ssh_config` | a client's configuration of OpenSSH |
| `csv_table` | a table with a header |
| `ec2` | what EC2's Describe operations answer |
| `hosts` | what all of them find, and the fleet file of it |

What is left out is told, with why: nobody should find out by a host that is missing.
"""
