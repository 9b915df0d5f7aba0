try:
    import fast_version as impl
except ImportError:
    import slow_version as impl
if impl.SLOW:
    from extras import more
else:
    from extras import less as more
print(impl.work(3), more())
