package multicast

import (
	"errors"
	"fmt"
	"net"

	"github.com/canhub-go/canhub/hub"
)

// closedOr returns hub.ErrClosed for what a closed socket says, and every other
// error with what was being done.
func closedOr(err error, what string) error {
	if errors.Is(err, net.ErrClosed) {
		return hub.ErrClosed
	}
	return fmt.Errorf("multicast: %s: %w", what, err)
}
