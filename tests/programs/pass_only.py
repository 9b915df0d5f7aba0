pass  # 1
