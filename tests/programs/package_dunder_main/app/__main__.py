def main():
    return 'main'


if __name__ == '__main__':
    main()
