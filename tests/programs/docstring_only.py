"""Only words."""  # 1
