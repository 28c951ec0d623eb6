"""What an administrator does: on the server itself, beside the API, or through it.

Whoever may read the data directory has the account's root powers. So these act without a signature; each
enters what it does in the audit trail, in the same transaction, with the operating system's user behind it.

| module | holds |
|---|---|
| `account` | applying a fleet file; enrolling hosts |
| `remote` | the same through the API, with anybody's credentials |
| `access_keys` | making, rotating, listing, deactivating and deleting access keys |
| `remote_keys` | the same through the API |
| `retention` | how long events of the audit trail are kept |
| `store_copy` | all of a store in another database |
| `key_check` | the store's check of the master key, mended |
| `master_key`, `gateway_key`, `key_steps` | another key in the place of the one there is, in steps |
| `certificate_authority` | another private CA in the place of the one there is |
| `joining` | join tokens, and the machines that joined by them |
| `promotion` | a control plane that joined in the place of the first machine |
| `migration` | the store brought to this program's schema |
| `bundling` | a new key as a bundle for the user's own machine |
| `api_urls` | the URL of the API for somebody: checked against the API's certificate |
| `imports` | fleet files made of other inventories |
| `fleet_files`, `fleet_check` | fleet files on the disk; what is wrong with one, without a server |

Each takes an open `Installation` and values, and returns values or raises a `CommandFailed`; `cli` prints.
"""
