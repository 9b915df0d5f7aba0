"""Which modules are measured: by the recorder's scope, or by the rules of the standard library's trace."""
