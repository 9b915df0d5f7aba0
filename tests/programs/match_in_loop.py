steps = []
for command in ["go north", "stop", "go", "wait", "break", "never"]:
    match command.split():
        case ["go", direction]:
            steps.append(direction)
        case ["stop"]:
            continue
        case ["break"]:
            break
        case [word]:
            steps.append(word)
    steps.append("-")
else:
    steps.append("else")
print(steps)
