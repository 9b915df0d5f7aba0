import fractions
import statistics

print(fractions.Fraction(1, 3) + fractions.Fraction("0.5"), fractions.Fraction(7, 2) // 1)
print(statistics.mean([1, 2, 3, 4]), statistics.median([5, 1, 3]))
