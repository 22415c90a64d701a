package pg

import (
	"fmt"
	"strconv"
)

// xid reads a transaction id with its epoch (xid8).
func xid(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no transaction id", s)
	}
	return n, nil
}
