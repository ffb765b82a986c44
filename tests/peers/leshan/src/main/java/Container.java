import java.util.Arrays;
import java.util.List;

import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.response.WriteResponse;

/** A container of bytes (object 19): what is written there is a firmware's image. */
public class Container extends BaseInstanceEnabler {
    private final Firmware firmware;

    public Container() {
        this(null);
    }

    Container(Firmware firmware) {
        this.firmware = firmware;
    }

    @Override
    public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
        if (resource != 0) {
            return WriteResponse.methodNotAllowed();
        }
        Object data = value.isMultiInstances() ? value.getInstances().values().iterator().next().getValue() : value.getValue();
        firmware.taken((byte[]) data);
        return WriteResponse.success();
    }

    @Override
    public List<Integer> getAvailableResourceIds(ObjectModel model) {
        return Arrays.asList(0);
    }
}
