package ops

// Fact is one thing that was looked at. A fact that could not be read is
// unknown, which is never the same as "no", zero or absent.
type Fact[T any] struct {
	Value T
	// Known says that Value was read. The zero Fact is unknown.
	Known bool
	// Why says, when unknown, why it could not be read. It holds no secret.
	Why string
}

// Known returns a fact that was read.
func Known[T any](v T) Fact[T] { return Fact[T]{Value: v, Known: true} }

// Unknown returns a fact that could not be read, and why.
func Unknown[T any](why string) Fact[T] { return Fact[T]{Why: why} }

// FactOf turns the answer of a read into a fact.
func FactOf[T any](v T, err error) Fact[T] {
	if err != nil {
		return Unknown[T](err.Error())
	}
	return Known(v)
}
