"""Writers of formats that other tools read. An `Exported` comes in; each module writes one format."""
