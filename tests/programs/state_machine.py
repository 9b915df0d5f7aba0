def lex(text):
    state, tokens, word = "start", [], ""
    for character in text + "\0":
        if state == "start":
            if character.isdigit():
                state, word = "number", character
            elif character.isalpha():
                state, word = "name", character
            elif character == "\0":
                break
            elif character != " ":
                tokens.append(character)
        elif state == "number":
            if character.isdigit():
                word += character
            else:
                tokens.append(int(word))
                state = "start"
        elif character.isalnum():
            word += character
        else:
            tokens.append(word)
            state = "start"
    return tokens


print(lex("ab1 + 42 - c"))
