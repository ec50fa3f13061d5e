package migrate

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mirubato/mirubato/api/contract"
)

// FitReport encodes a report as one line of JSON of at most limit bytes. A longer one loses its oldest applied
// migrations, the last of those that are held, invalid indexes, and then the end of its message.
func FitReport(report contract.MigrationReport, limit int) ([]byte, error) {
	for {
		line, err := json.Marshal(report)
		if err != nil {
			return nil, fmt.Errorf("encoding the report: %w", err)
		}
		over := len(line) - limit
		switch {
		case over <= 0:
			return line, nil
		case len(report.Applied) > 0:
			report.Applied = report.Applied[1:]
		case len(report.Held) > 0:
			report.Held = report.Held[:len(report.Held)-1]
		case len(report.Backfills) > 0:
			report.Backfills = report.Backfills[:len(report.Backfills)-1]
		case len(report.InvalidIndexes) > 0:
			report.InvalidIndexes = report.InvalidIndexes[:len(report.InvalidIndexes)-1]
		case report.Error != nil && report.Error.Message != "":
			shorter := *report.Error
			// In steps, because a character may take up to six bytes of JSON.
			shorter.Message = cut(shorter.Message, min(over, 1+len(shorter.Message)/4))
			report.Error = &shorter
		default:
			return nil, fmt.Errorf("a report cannot be cut to %d bytes", limit)
		}
	}
}

// cut takes at least n bytes off the end, and no character in half.
func cut(text string, n int) string {
	const ellipsis = "..."
	keep := max(0, len(strings.TrimSuffix(text, ellipsis))-n-len(ellipsis))
	if keep == 0 {
		return ""
	}
	return strings.ToValidUTF8(text[:keep], "") + ellipsis
}
