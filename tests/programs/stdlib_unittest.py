import io
import unittest


class Tests(unittest.TestCase):
    def setUp(self):
        self.value = 1

    def test_passes(self):
        self.assertEqual(self.value, 1)

    def test_fails(self):
        self.assertEqual(self.value, 2)

    def test_raises(self):
        with self.assertRaises(ValueError):
            int("x")

    @unittest.skip("not now")
    def test_skipped(self):
        raise AssertionError

    def test_subtests(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertNotEqual(n, 1)


suite = unittest.defaultTestLoader.loadTestsFromTestCase(Tests)
result = unittest.TextTestRunner(stream=io.StringIO()).run(suite)
print(result.testsRun, len(result.failures), len(result.skipped))
